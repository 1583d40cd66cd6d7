from benchmarks.__main__ import main, markdown, tables


def test_rows_of_another_kind_begin_a_table():
    scores = [{"setting": "a", "method": "x", "F1": 0.5, "SD": 0.1}, {"setting": "a", "method": "y", "F1": 0.25}]
    reviews = [{"setting": "a", "aurc": 1 / 3, "auroc": 0.5, "ece": None}]
    assert tables([*scores, *reviews, *scores]) == [scores, reviews, scores]
    assert tables([]) == []
    assert markdown(reviews).splitlines()[-1] == "| a | 0.3333 | 0.5 |  |"


def test_bad_input_is_one_line_and_exit_code_2(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        "sys.argv", ["benchmarks", "run", "informer_table1", "--data", str(tmp_path), "--out", str(tmp_path)]
    )
    assert main() == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "holds none of the accepted forms" in said[0]
