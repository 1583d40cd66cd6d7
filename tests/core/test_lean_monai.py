import json
import subprocess
import sys

SCRIPT = """
import json, sys
from slicerxai.lean_monai import UNUSED, import_monai
{before}
import_monai()
import_monai()
loaded = [name for name in UNUSED if name in sys.modules]
import torchvision
from monai.networks.nets.basic_unet import BasicUNet
print(json.dumps([loaded, "monai" in sys.modules, torchvision.__name__, BasicUNet(2, 1, 1).__class__.__name__]))
"""

WHEN_USED = """
import json, sys
from slicerxai.lean_monai import import_when_used
import_when_used("wave")
import_when_used("json")
import wave
before = "audioop" in sys.modules or "chunk" in sys.modules
opened = wave.open
import wave as again
print(json.dumps([before, opened is again.open, sys.modules["wave"].__spec__ is not None, json.dumps([])]))
"""


def told(before):
    command = [sys.executable, "-c", SCRIPT.format(before=before)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def test_monai_comes_alone_and_the_others_can_still_be_imported():
    assert told("") == [[], True, "torchvision", "BasicUNet"]
    assert told("import pandas") == [["pandas"], True, "torchvision", "BasicUNet"]


def test_a_module_is_loaded_when_it_is_used():
    answer = subprocess.run([sys.executable, "-c", WHEN_USED], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == [False, True, True, "[]"]
