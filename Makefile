# Windows: use `py tasks.py demo` and `py tasks.py test` instead.
PYTHON ?= python3
.PHONY: demo docs test install

demo:  ## IMAGE=path explains a scan of your own
	$(PYTHON) tasks.py demo $(if $(IMAGE),--image "$(IMAGE)")

docs:  ## the documentation site, into build/docs
	$(PYTHON) tasks.py docs

test:
	$(PYTHON) tasks.py test

install:
	$(PYTHON) tasks.py install
