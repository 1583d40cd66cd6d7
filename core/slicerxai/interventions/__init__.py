"""Property gradients: how a prediction responds when one property of the image is changed step by step."""
