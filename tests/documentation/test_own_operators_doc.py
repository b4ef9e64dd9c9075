"""docs/how-to/add-an-operator.md works as it stands: the operator, its lowering, and a bundle that verifies."""

import re
import subprocess
import sys
from pathlib import Path

from support.documents import Document

PAGE = Document("docs/how-to/add-an-operator.md").text


def test_the_operator_is_lowered_forward_and_backward(tmp_path: Path) -> None:
    files = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    result = subprocess.run([sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert any(line.startswith("step net.0.weight") for line in lines)
    assert all(line.endswith(" ok") for line in lines)


def test_without_the_lowering_the_operator_is_refused_by_name(tmp_path: Path) -> None:
    files = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
    (tmp_path / "log_cosh.py").write_text(files["log_cosh.py"])
    (tmp_path / "run.py").write_text(files["run.py"].replace("import log_cosh_onnx", ""))
    result = subprocess.run([sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode != 0
    assert (
        "the operator mine.log_cosh.default in layer '1', in LogCosh.forward, line 29 of log_cosh.py has no lowering"
        in result.stderr
    )


def test_a_lowering_is_ten_lines() -> None:
    (text,) = re.findall(r'```python title="log_cosh_onnx.py"\n(.*?)```', PAGE, re.DOTALL)
    statements = [line for line in text.splitlines() if line.strip() and not line.strip().startswith('"""')]
    assert len(statements) <= 10
