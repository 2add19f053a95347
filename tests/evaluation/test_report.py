"""The page: complete, self-contained, escaped, and the gallery shows what it says."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.gallery import GalleryItem, choose, film_strip
from fakedetect_jax.evaluation.report import Context, write_report
from fakedetect_jax.evaluation.scores import Failure, Score, aggregate
from fakedetect_jax.evaluation.summary import summarise

EVIL = "<script>alert('&\"')</script>"


def make_scores(methods, dataset="mini"):
    rng = np.random.default_rng(0)
    return [
        Score(
            dataset,
            method,
            f"{EVIL}{identity}",
            0,
            int(method != "real"),
            float(score),
            (0,),
            (float(score),),
            identity=str(identity),
        )
        for method in ("real", *methods)
        for identity, score in enumerate(
            np.clip(0.4 + 0.2 * (method != "real") + 0.2 * rng.normal(size=5), 0, 1)
        )
    ]


def groups_of(choice):
    return choice.right, choice.wrong, choice.uncertain


def make_report(folder, scores, *, failures=()):
    summary = summarise(scores, failures=failures, resamples=50)
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    choice = choose(video for video in aggregate(scores) if not video.failed)
    gallery = [
        GalleryItem(frames, video.label, video.method, video.score, video.video_id, video.dataset)
        for group in groups_of(choice)
        for video in group
    ]
    context = Context("people\u00a0& clips", EVIL, {"seed": 0, EVIL: EVIL}, config=f"name: {EVIL}")
    path = write_report(folder, summary=summary, scores=scores, gallery=gallery, title=EVIL, context=context)
    return path.read_text(encoding="utf-8"), summary, gallery


class Page(HTMLParser):
    """Collects tags with attributes, checks that they nest, and keeps the text."""

    VOID = frozenset({"meta", "img", "br", "path", "line", "use", "rect"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    failure = Failure("mini", "swap", "lost", 1, f"no face {EVIL}")
    return make_report(
        tmp_path_factory.mktemp("report"), make_scores(("swap", f"$m_{EVIL}$")), failures=[failure]
    )


def test_markup_nests_and_nothing_is_injected_or_fetched(report):
    html, _, _ = report
    page = Page(html)
    assert page.open == []
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object"}
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:image/"))
    assert not re.search(r"url\((?!#)|@import", html)
    # Figures with the same clip path may share its id; no id may stand for two things.
    clips = re.findall(r'<clipPath id="(\w+)">(.*?)</clipPath>', html, re.DOTALL)
    assert clips
    assert len(set(clips)) == len({name for name, _ in clips})
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert ids <= set(re.findall(r"#(\w+)", html))


def test_every_figure_of_the_summary_is_in_the_tables(report):
    html, summary, _ = report
    text = "".join(Page(html).text)
    for level in summary["datasets"]["mini"].values():
        for part in (level["overall"], level["mean_over_methods"], *level["methods"].values()):
            for entry in part["metrics"].values():
                assert f"{entry['value']:.3f}" in text
                if "reason" in entry:
                    assert entry["reason"] in text
                else:
                    assert f"{entry['low']:.3f}–{entry['high']:.3f}" in text
    headline = summary["datasets"]["mini"]["video"]["mean_over_methods"]["metrics"]["auc"]["value"]
    assert f"{round(100 * float(f'{headline:.2f}'))} times out of 100" in text
    assert "no face <script>" in text
    assert "1 of them failed" in text
    worst = summary["datasets"]["mini"]["video"]["mean_over_methods"]["metrics"]["auc_worst_case"]["value"]
    assert f"the AUC is {worst:.3f} if they are ranked as wrongly as can be" in text


def table(page, caption):
    """The cells of each row of one table, by the row's header."""
    body = page.split(f"<caption>{caption}")[1].split("</table>")[0].split("<tbody")[1]
    lines = [line.split("</tr>")[0] for line in body.split("<tr ")[1:]]
    return {
        line.split('scope="row">')[1].split("</th>")[0]: re.findall(r"<td.*?</td>", line, re.DOTALL)
        for line in lines
    }


def test_the_worst_case_has_a_column_only_where_videos_failed(tmp_path):
    failed = [Failure("mini", "swap", "lost", 1, "no face")]
    with_failure, summary, _ = make_report(tmp_path, make_scores(("swap",)), failures=failed)
    video, frame = (table(with_failure, f"{level} level") for level in ("Video", "Frame"))
    assert {len(cells) for cells in video.values()} == {7}
    assert {len(cells) for cells in frame.values()} == {6}
    worst = summary["datasets"]["mini"]["video"]["methods"]["swap"]["metrics"]["auc_worst_case"]
    assert worst["value"] < summary["datasets"]["mini"]["video"]["methods"]["swap"]["metrics"]["auc"]["value"]
    assert 'data-label="AUC, worst case"' in video["swap"][1]
    assert f"{worst['value']:.3f}" in video["swap"][1]
    without_failure, _, _ = make_report(tmp_path, make_scores(("swap",)))
    assert {len(cells) for cells in table(without_failure, "Video level").values()} == {6}


def test_the_report_counts_apart_what_the_detector_cannot_judge(tmp_path):
    still = Score("mini", "swap", "held", 0, 1, None, identity="h", not_judged="nothing moves")
    failed = [Failure("mini", "swap", "lost", 1, "no face")]
    html, _, gallery = make_report(tmp_path, [*make_scores(("swap",)), still], failures=failed)
    assert "held" not in {item.video_id for item in gallery}
    assert "1 not judged" in table(html, "Video level")["swap"][-1]
    text = " ".join(Page(html).text)
    assert "1 of them failed and 1 cannot be judged by this detector" in text
    assert "1 failed, 1 cannot be judged by this detector" in text
    assert "not judged: nothing moves" in text
    assert "failed: no face" in text


def test_reasons_for_a_missing_interval_stand_below_the_table(tmp_path):
    scores = [row for row in make_scores(("swap", "mouth")) if row.method != "mouth" or row.identity < "3"]
    html, _, _ = make_report(tmp_path, scores)
    assert "no interval" in table(html, "Video level")["mouth"][0]
    assert "no interval" not in table(html, "Video level")["swap"][0]
    reason = "the fakes are in 3 independent clusters: an interval needs at least 5"
    # All metrics have this one reason: it is given once for the method and once for the mean.
    said = [f"mouth: {reason}", f"mean over methods: mouth: {reason}"]
    lists = re.findall(r'<ul class="reasons">(.*?)</ul>', html, re.DOTALL)
    assert [re.findall(r"<li>(.*?)</li>", one) for one in lists] == [said, said]
    assert f"no interval: mouth: {reason}" in html


def test_images_have_alternatives_and_headers_a_scope(report):
    html, _, gallery = report
    tags = Page(html).tags
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert len(images) == len(gallery) >= 4
    assert all(attributes["alt"] for attributes in images)
    assert all(attributes["scope"] in ("row", "col") for tag, attributes in tags if tag == "th")
    figures = [attributes for _, attributes in tags if attributes.get("role") == "img"]
    assert len(figures) == 4  # two ROC figures, one histogram for each of two methods
    assert all(attributes["aria-label"] for attributes in figures)


@pytest.mark.parametrize(("methods", "gone"), [((), 0), (("swap",), 0), (("swap",), 1)])
def test_thin_results_still_make_a_page(tmp_path, methods, gone):
    failures = [Failure("mini", "gone", "1", 1, "no face")] * gone
    html, _, _ = make_report(tmp_path, make_scores(methods), failures=failures)
    assert Page(html).open == []
    assert ("no interval: " in html) == (not methods or gone == 1)


@pytest.mark.parametrize("failed", [0, 3])
def test_area_under_the_drawn_curves_is_the_auc_in_the_tables(tmp_path, monkeypatch, failed):
    drawn = []

    def keep(curves, overall):
        drawn.append(
            [np.trapezoid(one.true_positive_rate, one.false_positive_rate) for one in (*curves, overall)]
        )
        return ""

    monkeypatch.setattr("fakedetect_jax.evaluation.figures.roc", keep)
    failures = [Failure("mini", "real", f"lost{number}", 0, "no face") for number in range(failed)]
    _, summary, _ = make_report(tmp_path, make_scores(("mouth", "swap")), failures=failures)
    levels = summary["datasets"]["mini"]
    for areas, level in zip(drawn, (levels["video"], levels["frame"]), strict=True):
        parts = [level["methods"]["mouth"], level["methods"]["swap"], level["overall"]]
        assert areas == pytest.approx([part["metrics"]["auc"]["value"] for part in parts], abs=1e-12)


def test_two_datasets_have_two_headlines(tmp_path):
    html, _, _ = make_report(tmp_path, make_scores(("swap",)) + make_scores(("swap",), dataset="celeb"))
    assert "Headline for mini" in html
    assert "Headline for celeb" in html


def test_choice_takes_turns_is_disjoint_and_repeats_itself():
    def item(label, score):
        return GalleryItem(np.zeros((1, 2, 2, 3), np.uint8), label, "m", score, f"{label}{score}")

    items = [item(1, s) for s in (0.99, 0.98, 0.97, 0.6, 0.3)] + [item(0, s) for s in (0.2, 0.4, 0.45, 0.9)]
    choice = choose(items, count=3)
    assert [(one.label, one.score) for one in choice.right] == [(1, 0.99), (0, 0.2), (1, 0.98)]
    assert [(one.label, one.score) for one in choice.wrong] == [(0, 0.9), (1, 0.3)]
    assert [(one.label, one.score) for one in choice.uncertain] == [(0, 0.45), (1, 0.6), (0, 0.4)]
    again = choose([one for group in reversed(groups_of(choice)) for one in group], count=3)
    assert [[id(one) for one in group] for group in groups_of(again)] == [
        [id(one) for one in group] for group in groups_of(choice)
    ]


@pytest.mark.parametrize(("length", "shown"), [(1, 1), (3, 3), (9, 4)])
def test_film_strip_shows_first_to_last(length, shown):
    levels = np.linspace(0, 240, length).astype(np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (length, 20, 20, 3)).copy()
    prefix, data = film_strip(frames).split(",")
    assert prefix == "data:image/jpeg;base64"
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"))
    assert strip.shape == (144, 144 * shown)
    middles = strip[72, 72::144].astype(int)
    expected = levels[np.linspace(0, length - 1, shown).round().astype(int)]
    np.testing.assert_allclose(middles, expected, atol=2)


@pytest.mark.parametrize("score", [float("nan"), -0.1, float("inf")])
def test_gallery_shows_no_verdict_without_a_probability(score):
    with pytest.raises(FakedetectError, match=f"v7.*{score}"):
        GalleryItem(np.zeros((1, 4, 4, 3), np.uint8), 1, "swap", score, "v7")


@pytest.mark.parametrize(
    "frames",
    [np.zeros((2, 4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4, 4, 3), np.uint8)],
)
@pytest.mark.usefixtures("unchecked_types")
def test_gallery_frames_are_checked(frames):
    with pytest.raises(ValueError, match="v7"):
        GalleryItem(frames, 1, "swap", 0.5, "v7")
