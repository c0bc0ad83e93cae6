"""Runs action.yml as GitHub would: inputs by name and their defaults, each step's script by bash.

run_action.py ACTION_FOLDER WORKSPACE [NAME=VALUE...]
"""
import os
import re
import subprocess
import sys

import yaml

folder, workspace, *given = sys.argv[1:]
with open(os.path.join(folder, "action.yml")) as file:
    action = yaml.safe_load(file)
inputs = {name: spec.get("default", "") for name, spec in action["inputs"].items()}
for pair in given:
    name, value = pair.split("=", 1)
    assert name in inputs, f"action.yml has no input {name}"
    inputs[name] = value


def expanded(text):
    return re.sub(r"\$\{\{\s*inputs\.([\w-]+)\s*\}\}", lambda match: inputs[match[1]], text)


assert action["runs"]["using"] == "composite"
for step in action["runs"]["steps"]:
    assert step["shell"] == "bash" and "if" not in step
    environment = {**os.environ, "GITHUB_ACTION_PATH": os.path.abspath(folder)}
    environment.update({name: expanded(value) for name, value in step.get("env", {}).items()})
    script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", expanded(step["run"])]
    status = subprocess.run(script, env=environment, cwd=workspace).returncode
    if status != 0:
        sys.exit(status if status > 0 else 128 - status)
