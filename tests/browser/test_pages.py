"""The lab's pages in a real browser: each page, and each verb, by mouse or by keys alone."""

from __future__ import annotations

import itertools

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.browser import launched
from support.http import served
from support.missing import CHROMIUM, give_up, required_backends
from support.workflow_lab import wait_for
from vrtracker.demo import run_demo
from vrtracker.domain.roles import Role
from vrtracker.files.alf import load
from vrtracker.files.suite2p_settings import read_rois

FIRST, BROKEN = "DEMO001.2023-01-18.701", "DEMO002.2023-02-08.701"
PAGES = (
    *("/", "/sessions", "/mice", "/mice/DEMO001", f"/sessions/{BROKEN}", f"/sessions/{FIRST}/edit"),
    *("/sessions/new", "/sessions/import", "/quality/red_cell", "/runs", "/doctor", "/undo"),
    *("/calls", "/sessions?where=nothing", f"/sessions/{FIRST}/imaging", "/?until=2023-01-20"),
)
SERIOUS = {"resultTypes": ["violations"]}
# Before it has painted a page, Chromium throws keys away.
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def browser():
    with launched() as found:
        if found is None:
            why = "no Chromium is installed (apt-get install chromium)"
            give_up(CHROMIUM, why, required=CHROMIUM in required_backends())
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = run_demo(tmp_path_factory.mktemp("browser") / "demo", actor="ann")
    with made.tracker as tracker, served(tracker) as client:
        client.tracker = tracker
        yield client


@pytest.fixture
def page(browser, server):
    """A page of somebody who came in by the token; what goes wrong in it fails the test."""
    context = browser.new_context(base_url=server.url)
    context.set_default_timeout(120_000)
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.extend([asked.url] * (server.url not in asked.url)))
    page.goto(f"/enter?token={server.token}")
    yield page
    context.close()
    assert wrong == []


def test_no_page_keeps_anybody_out(page):
    found = {}
    # Each page once, in turn wide and light, narrow and dark: looking takes a second.
    looks = itertools.cycle([(1280, "light"), (800, "dark")])
    for path, (width, scheme) in zip(PAGES, looks, strict=False):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.goto(path)
        found[path] = _wrong(page)

    assert [found for found in found.items() if found[1]] == []


def _wrong(page):
    """Return what keeps somebody out of a page."""
    return [
        f"{each['id']}: {each['nodes'][0]['html']}"
        for each in Axe().run(page, options=SERIOUS).response["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


def test_today_s_session_is_entered_edited_in_conflict_edited_in_bulk_and_taken_back(page, server):
    page.get_by_role("link", name="New session").click()
    page.get_by_label("Mouse", exact=True).fill("DEMO001")
    page.get_by_label("Number").fill("705")
    page.get_by_label("Notes").fill("calm")
    page.get_by_role("button", name="Enter").click()
    key = page.get_by_role("heading", level=1).inner_text()
    sessions = server.tracker.sessions
    assert (sessions.get(key).sessionNotes, sessions.get(key).imaging) == ("calm", True)

    page.get_by_role("link", name="Edit").click()
    page.get_by_label("sessionNotes").fill("mine")
    sessions.update({"sessionNotes": "theirs"}, key)
    page.get_by_role("button", name="Keep").click()
    row = page.get_by_role("row", name="sessionNotes")
    assert [cell.inner_text() for cell in row.get_by_role("cell").all()][:2] == ["calm", "theirs"]
    page.get_by_role("button", name="Keep what").click()
    assert sessions.get(key).sessionNotes == "mine"

    page.goto("/sessions?where=mouseName = 'DEMO001'")
    page.get_by_label(key).check()
    page.get_by_label(FIRST).check()
    page.locator("select[name=column]").select_option("numPlanes")
    page.get_by_label("New value").fill("4")
    page.get_by_label("New value").press("Enter")
    page.get_by_role("button", name="Change 2 sessions").click()
    assert sessions.get(FIRST).numPlanes == 4
    page.get_by_role("button", name="Take it back").click()
    page.wait_for_url("/")
    assert sessions.get(FIRST).numPlanes == 2


def test_a_condition_is_completed_by_keys_alone_and_kept_as_a_view(page, server):
    page.goto("/sessions")
    field = page.get_by_role("combobox", name="Condition")
    listed = page.get_by_role("listbox", name="What can come next")
    field.focus()
    for typed, words in (("imag", "imaging "), ("and mouse.s", "imaging and mouse.sex ")):
        # At once: the list of fewer letters may have the word too, and is drawn anew with the next.
        page.keyboard.insert_text(typed)
        expect(listed.get_by_role("option").first).to_have_accessible_name(words.split()[-1])
        page.keyboard.press("ArrowDown")
        chosen = listed.get_by_role("option", selected=True)
        assert field.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
        page.keyboard.press("Enter")
        assert field.input_value() == words
    listed.get_by_role("option", name="is", exact=True).wait_for()
    page.keyboard.press("ArrowDown")
    field.evaluate("field => field.setSelectionRange(0, 0)")
    page.keyboard.press("Enter")
    listed.get_by_role("option", name="experimentType", exact=True).wait_for()
    assert field.input_value() == words
    page.keyboard.press("End")
    page.keyboard.type("= ")
    listed.get_by_role("option", name="F", exact=True).wait_for()
    assert _wrong(page) == []
    listed.get_by_role("option", name="F", exact=True).click()
    page.keyboard.press("Escape")
    assert field.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    page.get_by_text("pass", exact=False).first.wait_for()
    assert "?where=imaging+and+mouse.sex+%3D+F+&" in page.url

    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Keep this condition").fill("women")
    page.get_by_role("button", name="Keep").click()
    page.goto("/sessions")
    page.get_by_role("link", name="women").click()
    assert field.input_value() == "imaging and mouse.sex = F"
    page.get_by_role("button", name="Remove the view women").click()
    page.get_by_text("You have none.").wait_for(state="attached")


def test_ten_sessions_are_judged_by_keys_alone(page, server):
    page.goto("/quality/suite2p")
    judged = server.tracker.query(state={"suite2p_qc": "ready"}).keys()
    assert len(judged) == 10
    keys = [["p"], ["2"], ["f", "dim", "Enter"], ["s", "no signal", "Enter"], *[["1"]] * 6]
    for number, pressed in enumerate(keys):
        # The script that listens to keys is run before a page is loaded.
        page.wait_for_load_state()
        assert page.get_by_text(f"{10 - number} left to judge.").is_visible()
        for each in pressed:
            page.keyboard.type(each) if " " in each or len(each) == 3 else page.keyboard.press(each)
        page.get_by_text(f"{9 - number} left to judge.").wait_for()
        page.evaluate(PAINTED)
    page.wait_for_load_state()
    page.keyboard.press("u")
    page.get_by_text("1 left to judge.").wait_for()
    page.get_by_role("heading", name=str(judged[-1])).wait_for()

    states = [server.tracker.workflow.states(key)["suite2p_qc"] for key in judged]
    assert states == ["done", "done", "failed", "scratched", *["done"] * 5, "ready"]
    assert server.tracker.decisions.records(judged[2])[-1]["reason"] == "dim"


def test_a_decision_that_was_begun_is_dropped_by_escape_and_a_key_decides_once(page, server):
    page.goto("/quality/red_cell")
    key = page.get_by_role("heading", level=1).inner_text().rpartition(" ")[2]
    before = len(server.tracker.decisions.records(key))
    page.evaluate(PAINTED)
    page.keyboard.press("f")
    page.keyboard.press("Escape")
    page.get_by_label("Reason").click()
    page.keyboard.type("dim")
    page.keyboard.press("Enter")
    page.wait_for_load_state("networkidle")
    assert server.tracker.workflow.states(key)["red_cell_qc"] == "ready"

    # Both keys come before the next page.
    press = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'p', bubbles: true}))"
    page.evaluate(f"{press}; {press}")
    page.get_by_text(f"{key}: PASS").wait_for()
    assert [each["reason"] for each in server.tracker.decisions.records(key)[before:]] == ["dim"]


def test_a_run_that_fails_shows_up_by_itself_with_its_traceback(page, server):
    page.clock.install()
    page.goto("/")
    page.get_by_role("link", name="Mice").focus()
    page.locator("[data-live] a").first.focus()
    before = page.evaluate("document.activeElement.getAttribute('href')")
    page.get_by_role("button", name="Run again").click()
    page.get_by_text("Runs started here").wait_for()
    page.goto("/runs")

    shown = page.get_by_text("ended with exit code")
    for _ in range(1200):
        page.clock.run_for(5000)
        page.wait_for_timeout(250)
        if shown.count():
            break
    assert shown.count() == 1
    page.goto(f"/sessions/{BROKEN}")
    attempts = page.locator("summary").all()
    assert len(attempts) == 2
    attempts[0].click()
    assert page.get_by_text("Traceback").first.is_visible()

    page.goto("/")
    page.locator("[data-live] a").first.focus()
    with page.expect_response("**/live"):
        page.clock.run_for(5000)
    assert page.evaluate("document.activeElement.getAttribute('href')") == before


def test_a_file_is_dropped_looked_at_and_added(page, server):
    page.goto("/sessions/import")
    text = "mouseName,sessionDate,sessionID\\nDEMO003,2024-05-06,1\\nDEMO003,2024-05-06,2\\n"
    dropped = page.evaluate_handle(
        f"""() => {{ const carried = new DataTransfer();
        carried.items.add(new File(['{text}'], 'new.csv', {{type: 'text/csv'}}));
        return carried; }}"""
    )
    page.locator("textarea").dispatch_event("drop", {"dataTransfer": dropped})
    expect(page.locator("textarea")).not_to_have_value("")
    page.get_by_role("button", name="Show what would be added").click()
    page.get_by_role("button", name="Add 2 sessions").click()

    assert page.get_by_role("heading", level=1).inner_text() == "Done"
    assert server.tracker.sessions.count(sessionDate="2024-05-06") == 2


def test_the_wall_chart_is_walked_back_in_time_and_leads_to_a_session(page):
    page.clock.install()
    page.set_viewport_size({"width": 800, "height": 900})
    page.goto("/")
    chart = page.get_by_role("region", name="Sessions by mouse and day")
    assert chart.evaluate("each => each.scrollLeft") > 0
    chart.focus()
    before = chart.evaluate("each => { each.scrollLeft = 70; return each.scrollLeft; }")
    with page.expect_response("**/live"):
        page.clock.run_for(5000)
    page.wait_for_load_state("networkidle")
    assert chart.evaluate("each => [each.scrollLeft, each === document.activeElement]") == [
        before,
        True,
    ]
    square = page.get_by_role("link", name=FIRST)
    while not square.count():
        with page.expect_navigation():
            page.get_by_role("link", name="Older").press("Enter")
    with page.expect_response("**/live?until=2023-01-20"):
        page.clock.run_for(5000)
    assert page.get_by_text("Times are of").is_visible()
    square.click()
    assert page.get_by_role("heading", level=1).inner_text() == FIRST


def test_a_cell_is_chosen_on_the_mean_image_and_its_trace_drawn(page, server):
    asked = []
    page.on("request", lambda each: asked.extend([each.url] * each.url.endswith("/planes")))
    page.goto(f"/sessions/{FIRST}")
    picture = page.get_by_alt_text("Mean image of plane 0")
    picture.wait_for()
    page.wait_for_load_state("networkidle")
    assert picture.bounding_box()["width"] == 256
    assert len(asked) == 1
    page.get_by_role("textbox", name="Cells").fill("0")
    page.get_by_role("button", name="Show").click()
    folder = server.tracker.sessions.get(FIRST).path / "suite2p" / "plane0"
    cells = load(folder / "iscell.npy")[:, 0]
    other = int(cells.nonzero()[0][-1])
    roi = read_rois(folder / "stat.npy")[other]
    # The demo's pixels are shown twice as large.
    place = {"x": 2 * int(roi["xpix"].mean()), "y": 2 * int(roi["ypix"].mean())}
    picture.click(position=place)

    page.get_by_role("row", name=f"{other} ").wait_for()
    assert page.get_by_role("textbox", name="Cells").input_value() == f"0, {other}"
    assert page.locator("polyline").count() == 2


def test_the_second_of_two_servers_reviewers_reads_what_the_first_one_said(browser, page, server):
    with served(server.tracker.signing_as("bob", Role.EDITOR)) as elsewhere:
        other = browser.new_context(base_url=elsewhere.url).new_page()
        other.goto(f"/enter?token={elsewhere.token}")
        page.goto("/quality/red_cell")
        key = page.get_by_role("heading", level=1).inner_text().rpartition(" ")[2]
        other.goto(f"/quality/red_cell?key={key}")
        other.get_by_label("Reason").fill("no red at all")
        other.get_by_role("button", name="WARNING").click()
        other.get_by_text(": WARNING").wait_for()
        other.context.close()
        page.keyboard.press("p")
        told = page.get_by_role("alert")
        told.wait_for()
        assert "bob said WARNING (no red at all)" in told.inner_text()
        page.evaluate(PAINTED)
        page.keyboard.press("n")
        page.get_by_text("left to judge").wait_for()
        assert not page.get_by_role("heading", name=key).count()


def test_a_snapshot_is_published_and_listed(page, tmp_path, monkeypatch):
    monkeypatch.setenv("VRTRACKER_SNAPSHOTS", str(tmp_path))
    page.goto("/runs")
    page.get_by_label("Name").fill("fig3")
    page.get_by_role("button", name="Publish a snapshot").click()
    page.get_by_text("snapshot publish fig3").wait_for()
    wait_for(lambda: "exit code 0" in page.reload().text())

    assert page.get_by_role("row", name="fig3 ").is_visible()
    assert (tmp_path / "fig3" / "lab.db").is_file()


def test_pages_work_without_any_script(browser, server):
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/enter?token={server.token}")
    page.goto("/quality/red_cell")
    key = page.get_by_role("heading", level=1).inner_text().rpartition(" ")[2]
    page.get_by_label("Reason").fill("clear")
    page.get_by_role("button", name="PASS").click()
    page.get_by_text(f"{key}: PASS").wait_for()
    context.close()

    assert server.tracker.workflow.states(key)["red_cell_qc"] == "done"
