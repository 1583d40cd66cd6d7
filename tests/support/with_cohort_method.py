"""The `slicerxai` command with the tests' method of cohorts; its worker processes import this file too."""

from cohort_method import register

register()

if __name__ == "__main__":
    from slicerxai.cli.main import main

    main()
