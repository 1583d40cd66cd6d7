"""The radiologist's way through the page: case, prediction, saliency, worklist, correction, saved."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from browser_user import BrowserUser

Picture = Callable[[str], None]
"""Called with the name of each step."""
STEPS = ("case", "agreement", "predicted", "saliency", "opacity", "lesion", "worklist", "correct", "saved")


def reads_a_case(user: BrowserUser, model: str, picture: Picture) -> None:
    """From the case of a cohort to one lesion explained; each step must change what the views show."""
    user.status_says(re.compile("Connected"))
    user.changes("axial", lambda: user.press("Open case"))
    user.status_says(re.compile(r"FLAIR.*; masks: .*[1-9]"))
    picture("case")
    user.press("Raters")
    user.status_says(re.compile(r"Mean Dice of the pairs of \d+ raters: 0\.\d\d"))
    user.changes("axial", lambda: user.tick("Rater agreement"))
    picture("agreement")
    user.changes("axial", lambda: user.tick("Rater agreement"))
    user.press("Raters")
    user.choose("Model", model)
    user.press("Predict")
    user.status_says(re.compile(r"[1-9]\d* lesions? predicted"))
    picture("predicted")
    user.changes("axial", lambda: (user.press("Explain"), user.status_says(re.compile("whole prediction"))))
    user.sees(re.compile("^(Reliable|Caution|Unreliable)"))
    picture("saliency")
    user.changes("axial", lambda: user.slide("Opacity", 0.1))
    picture("opacity")
    user.changes("axial", lambda: user.slide("Opacity", 0.8))
    user.changes("axial", lambda: user.scroll("axial", 2))
    user.keeps("sagittal", lambda: user.scroll("axial", 1))
    user.changes("axial", user.rows("Lesions").first.click)
    user.press("Pick a lesion")
    user.changes("axial", lambda: user.click_view("axial", 0.5, 0.5))
    user.status_says(re.compile(r"lesion \d+"))
    picture("lesion")


def opens_the_most_suspicious(user: BrowserUser, model: str) -> None:
    """Score all images, and open the one that the worklist proposes."""
    user.tab("Worklist")
    user.choose("Model of the worklist", model)
    user.press("Score images")
    user.status_says(re.compile(r"Done: \d+ images? scored"))
    user.changes("axial", lambda: user.press("Next open ▶"))
    user.status_says(re.compile(r"Done: \S+ is open"))


def reviews(user: BrowserUser, model: str, picture: Picture) -> str:
    """Score, open the most suspicious image, correct its lesions and save; the image's id."""
    opens_the_most_suspicious(user, model)
    rows = user.rows("Worklist")
    image = rows.nth(0).locator("td").nth(0).inner_text()
    user.sees(re.compile(rf"^Done: {image} is open"))
    lesions = user.rows("Predicted lesions")
    assert "⚑" in lesions.nth(0).inner_text()
    user.changes("axial", lesions.last.click)
    user.changes("axial", lesions.first.click)
    picture("worklist")
    user.press("Correct…")
    user.sees("Paint the lesions that are there, erase what is none, and save.")
    user.changes("axial", lambda: user.drag_in_view("axial", (0.40, 0.30), (0.60, 0.30)))
    user.changes("axial", lambda: user.press("Undo stroke"), least=0.0005)
    user.changes("axial", lambda: user.press("Redo stroke"), least=0.0005)
    picture("correct")
    user.enter("Comment", "one more above")
    user.press("Save correction")
    user.status_says(re.compile(f"Written: {image} is corrected"))
    picture("saved")
    return image


def reviews_classes(user: BrowserUser, model: str) -> tuple[str, str]:
    """The same of a classifier: look at the maps of its classes, correct one; the image's id, and that class."""
    opens_the_most_suspicious(user, model)
    image = user.page.locator('[aria-label="Worklist"] tbody tr.xai-chosen td').first.inner_text()
    classes = user.rows("Classes")
    others = user.page.locator('[aria-label="Classes"] tbody tr:not(.xai-chosen)')
    user.changes("axial", others.first.click)
    user.changes("axial", lambda: user.slide("Opacity of the map, %", 0.05))
    user.press("Correct…")
    label = classes.first.locator("td").first.inner_text().removeprefix("⚑").strip()
    user.tick(f"{label} is present")
    user.enter("Comment", "the other side")
    user.press("Save correction")
    user.status_says(re.compile(f"Written: {image} is corrected"))
    return image, label


def saves_the_scene(user: BrowserUser, folder: Path) -> Path:
    """The scene as a file that Slicer opens."""
    with user.page.expect_download() as download:
        user.press("Save scene")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    assert zipfile.is_zipfile(path)
    return path


def reads_the_report(user: BrowserUser) -> str:
    """Open the report of the shown result in a tab of its own; its words."""
    with user.page.context.expect_page() as opened:
        user.named("link", "Report").click()
    report = opened.value
    report.wait_for_load_state()
    words = str(report.locator("body").inner_text())
    report.close()
    return words


def opens_the_scene(user: BrowserUser, path: Path) -> None:
    """A saved scene in place of what is there."""
    user.page.locator('input[type="file"][accept=".mrb"]').set_input_files(path)
    user.status_says(f"{path.name} is open.")


def what_is_told(user: BrowserUser) -> dict[str, object]:
    """The tables and verdicts of the tabs; ends in the first one."""
    user.tab("Worklist")
    review = user.rows("Predicted lesions").all_inner_texts()
    user.tab("Read")
    told = {table: user.rows(table).all_inner_texts() for table in ("Lesions", "Raters", "Overlaps")}
    verdict = user.page.locator('[aria-label="verdict"]').inner_text()
    return {**told, "worklist": review, "verdict": verdict}
