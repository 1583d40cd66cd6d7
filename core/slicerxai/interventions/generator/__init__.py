"""Interventional images from a conditional diffusion model that is trained on the slices of a cohort."""
