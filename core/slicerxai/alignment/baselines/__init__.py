"""Published methods that make a classifier look at what experts look at; causal alignment is compared with them."""
