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


def told(before):
    command = [sys.executable, "-c", SCRIPT.format(before=before)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def test_monai_comes_alone_and_the_others_can_still_be_imported():
    assert told("") == [[], True, "torchvision", "BasicUNet"]
    assert told("import pandas") == [["pandas"], True, "torchvision", "BasicUNet"]
