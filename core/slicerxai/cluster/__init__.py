"""One method on every case of a cohort, by processes of this machine or of a cluster."""
