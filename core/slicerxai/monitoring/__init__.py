"""INFORMER: which predictions of a classifier a human should read again, by the distinctiveness of its maps."""
