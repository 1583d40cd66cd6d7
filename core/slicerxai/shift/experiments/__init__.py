"""The two experiments of the shift-attribution paper, on any cohort: across raters, and across centres."""
