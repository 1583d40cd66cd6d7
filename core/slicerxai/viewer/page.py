"""The page: a bar for the server, the sections at the left, the views at the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import client, html
from trame.widgets import vuetify3 as v3
from XAIPanels.words import RESEARCH_USE

from slicerxai.viewer.page_parts import (
    STYLE,
    box,
    button,
    choice,
    correcting_tools,
    file_choice,
    link,
    rich,
    section,
    slider,
    status,
)  # fmt: skip
from slicerxai.viewer.raters import HINT
from slicerxai.viewer.raters_page import build_raters
from slicerxai.viewer.review_page import build_review

if TYPE_CHECKING:
    from slicerxai.viewer.app import ViewerApp

TITLE = "Explainable AI"
WIDTH = 430
"""Of the sections, in pixels."""
SECTIONS = ["image", "model", "result"]
"""Those that are unfolded at first."""


def draw(app: ViewerApp) -> Any:
    """Describe the page to trame. Returns its layout."""
    state = app.server.state
    state.trame__title = TITLE
    state.trame__favicon = None
    state.update({"tab": "read", "sections": SECTIONS, "dark": False})
    state.update({"grid_style": _grid("1fr 1fr"), "grid_style_large": _grid("1fr")})
    with VAppLayout(app.server, theme=("dark ? 'dark' : 'light'",)) as layout:
        client.Style(STYLE)
        _bar(app)
        with v3.VNavigationDrawer(permanent=True, width=WIDTH, raw_attrs=['aria-label="panel"']):
            with v3.VTabs(v_model=("tab",), density="compact", grow=True):
                v3.VTab("Read", value="read")
                v3.VTab("Worklist", value="worklist")
                v3.VTab("Jobs", value="jobs")
            with html.Div(v_show="tab === 'read'"):
                _read(app)
            with html.Div(v_show="tab === 'worklist'", classes="pa-2"):
                build_review(app.review)
            with html.Div(v_show="tab === 'jobs'", classes="pa-2"):
                _jobs(app)
            html.Div(RESEARCH_USE, classes="text-caption pa-2")
        with v3.VMain(style="height: 100vh;"):
            app.views.draw()
    return layout


def _grid(columns: str) -> str:
    return f"grid-template-columns: {columns}; grid-template-rows: {columns};"


def _bar(app: ViewerApp) -> None:
    with v3.VAppBar(density="compact"):
        v3.VToolbarTitle(TITLE, style="max-width: 150px;")
        field = {"density": "compact", "hide_details": True, "variant": "outlined", "classes": "mx-1"}
        v3.VTextField(
            v_model=("server_url",), label="Server", style="max-width: 260px;", spellcheck=False,
            keydown_enter=app.connection.connect, __events=[("keydown_enter", "keydown.enter")], **field,
        )  # fmt: skip
        v3.VTextField(
            v_model=("server_token",), label="Token", type="password", autocomplete="off",
            style="max-width: 140px;", **field,
        )  # fmt: skip
        button("Connect", app.connection.connect, "Ask the server what it has", disabled=("connecting",))
        with html.Div(style="min-width: 180px; max-width: 420px;"):
            status("server")
        v3.VSpacer()
        with html.Div(style="max-width: 260px;"):
            status("scene")
        file_choice(app, "Open scene", app.scene_file.uploads, ".mrb", multiple=False,
                    style="max-width: 170px;", variant="outlined", disabled=("scene_busy",))  # fmt: skip
        save = app.server.trigger_name(app.save_scene)
        button("Save scene", f"trigger('{save}').then(file => file && utils.download('scene.mrb', file))",
               "Images, results and corrections as a file that Slicer opens too", disabled=("scene_busy",))  # fmt: skip
        button("Dark", "dark = !dark", "Light or dark page")


def _read(app: ViewerApp) -> None:
    with v3.VExpansionPanels(multiple=True, v_model=("sections",), variant="accordion", eager=True):
        section("Image", lambda: _images(app), "image")
        section("Raters", lambda: build_raters(app.raters), "raters", v_show="raters.length")
        section("Model", lambda: _model(app), "model")
        section("Result", lambda: _result(app), "result")
        section("Correct", lambda: _correct(app), "correct")


def _images(app: ViewerApp) -> None:
    images = app.images
    file_choice(app, "Open files (.nii, .nii.gz, .nrrd)", images.uploads, ".nii,.gz,.nrrd", multiple=True)
    with html.Div(v_show="study_items.length", classes="d-flex align-center"):
        choice("study", "Server study", "study_items", style="flex: 1;")
        button("Open study", images.open_study, "Show this image of the server", disabled=("!study || loading",))
    with html.Div(v_show="cohort_items.length", classes="d-flex align-center"):
        choice("cohort", "Cohort", "cohort_items", style="flex: 1;")
        choice("cohort_case", "Case", "case_items", style="flex: 1;")
        button(
            "Open case",
            images.open_case,
            "Show this case with all images and masks",
            disabled=("!cohort_case || loading",),
        )
    choice("image", "Image to read", "image_items")
    with html.Div(classes="d-flex"):
        box("masks", "Masks of the raters", v_show="has_masks")
        box("agreement", "Rater agreement", v_show="has_masks", disabled=("!!agreement_why",),
            title=(f"agreement_why || '{HINT}'",))  # fmt: skip
        box("lesions_3d", "Lesions in 3D")
    status("image")


def _model(app: ViewerApp) -> None:
    choice("model", "Model", "model_items")
    button("Predict", app.predicting.predict, "Find the lesions in this image", disabled=("!connected || !image",))
    status("predict")
    choice("variant", "How relevance is computed", "variants")
    button(
        "Explain", app.explaining.explain, "Show which voxels made the model call them lesions",
        disabled=("!connected || !image",), color="primary",
    )  # fmt: skip
    status("explain")


def _result(app: ViewerApp) -> None:
    explaining = app.explaining
    html.Div("No result yet: press “Explain”.", v_show="!results.length", classes="xai-rich")
    with html.Div(v_show="results.length"):
        choice("result", "Result", "results")
        rich("verdict_html", "verdict")
        slider("opacity", "Opacity", 0, 1, 0.05)
        slider("threshold", "Hide below", 0, 1, 0.01)
        rich("legend_html", "legend")
        with v3.VTable(density="compact", v_show="lesions.length", height="190px", raw_attrs=['aria-label="Lesions"']):
            with html.Thead(), html.Tr():
                for title in ("Lesion", "ml", "Probability", "Inside"):
                    html.Th(title)
            with (
                html.Tbody(),
                html.Tr(
                    v_for="one in lesions",
                    key="one.number",
                    click=(explaining.go_to, "[one.number]"),
                    keydown_enter=(explaining.go_to, "[one.number]"),
                    __events=[("keydown_enter", "keydown.enter")],
                    classes=("one.number === lesion ? 'xai-row xai-chosen' : 'xai-row'",),
                    raw_attrs=['tabindex="0"'],
                ),
            ):
                html.Td("{{ one.number }}{{ one.explained ? ' ●' : '' }}")
                html.Td("{{ one.volume }}")
                html.Td("{{ one.probability }}")
                html.Td("{{ one.inside }}")
        button("Explain lesion", explaining.explain_lesion, "Explain the chosen lesion alone",
               disabled=("!lesion || !connected",))  # fmt: skip
        button("Pick a lesion", explaining.pick, "Then click on a lesion in a slice view to explain it alone",
               disabled=("!lesions.length || !connected",), active=("picking",))  # fmt: skip
        link("Report", "report", "This result as a page to read, print or keep")
        button("Remove", explaining.remove, "Remove this result; the image stays")
        with html.Details(classes="xai-rich"):
            html.Summary("All checks")
            rich("checks_html", "checks")
    button("Undo removing", explaining.undo_removing, "Bring back the result that was removed last",
           v_show="result_removed")  # fmt: skip


def _correct(app: ViewerApp) -> None:
    correcting = app.correcting
    button("Correct", correcting.correct, "Correct what the model found in this image", v_show="!correcting",
           disabled=("!image",))  # fmt: skip
    with html.Div(v_show="correcting"):
        correcting_tools(correcting)
        button("Save label", correcting.save, "Write the correction to the server", color="primary",
               disabled=("!connected || saving",))  # fmt: skip
        button("Finish", correcting.end, "Put the tools away; the correction stays")
    status("correct")


def _jobs(app: ViewerApp) -> None:
    jobs = app.jobs
    html.Div("Nothing was asked yet.", v_show="!jobs.length", classes="xai-rich")
    with v3.VCard(v_for="job in jobs", key="job.id", classes="my-1 pa-2", variant="tonal"):
        html.Div("{{ job.title }} – {{ job.image }}", classes="font-weight-medium")
        v3.VProgressLinear(v_if="job.active", model_value=("job.percent",), raw_attrs=['aria-label="progress"'])
        html.Div("{{ job.state }} {{ job.words }}", classes="xai-rich", raw_attrs=['role="status"'])
        link("Report", "job.report", "This result as a page to read, print or keep")
        button("Cancel", (jobs.cancel, "[job.id]"), "Stop it, on the server too", v_if="job.active")
        button("Show", (jobs.open, "[job.id]"), "Show its result", v_if="job.openable")
        button("Try again", (jobs.retry, "[job.id]"), "Ask the server again",
               v_if="job.state === 'failed' || job.state === 'cancelled'")  # fmt: skip
        button("Remove", (jobs.remove, "[job.id]"), "Take it off the tray", v_if="!job.active")
    button("Clear finished", jobs.clear, "Take off everything that has ended", v_show="jobs.length")
    button("Undo removing", jobs.undo, "Bring back what was removed last", disabled=("!jobs_can_undo",))
    status("jobs")
