"""Builds a main-node whose generated client is that of given OpenAPI files, in a scratch copy
of the workspace: for the stories that use a vendor's own API."""

import os
import pathlib
import re
import shutil

from harness import ROOT, WORK, clean_environment, expect, run


def build_with_client(files, name):
    """The path of a main-node with a client generated from `files`."""
    # All stories share one scratch workspace, with a target directory of its own: cargo names
    # artifacts of workspace packages by their path in the workspace, so two workspaces with
    # one target directory would take each other's binaries for fresh.
    scratch, target = WORK / "scratch", WORK / "scratch-target"
    copy_workspace(scratch)
    seed_dependencies(target)
    before = (ROOT / "src/api/client.rs").read_bytes()
    environment = clean_environment(CARGO_TARGET_DIR=str(target))
    code, out, err = run(["cargo", "codegen", *files], 180, cwd=scratch, env=environment)
    expect(code == 0, f"cargo codegen takes {' and '.join(file.name for file in files)} as published", out + err)
    print("        " + ((out + err).strip().splitlines() or ["(no report)"])[-1])
    code, out, err = run(["cargo", "build", "--locked", "--quiet", "--bin", "main-node"], 300, cwd=scratch, env=environment)
    expect(code == 0, "main-node compiles with that client", out + err)
    binary = WORK / "bin" / f"main-node-{name}"
    binary.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(target / "debug" / "main-node", binary)
    expect((ROOT / "src/api/client.rs").read_bytes() == before, "the committed client is unchanged")
    return binary


def seed_dependencies(target):
    """Copies the dependencies that the dev build has compiled; cargo compiles again what is stale."""
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    if target.exists() or not built.exists():
        return
    partial = target.with_name(target.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    ours = ("main-node-", "main_node-", "libmain_node-", "codegen-", "libcodegen-", "tidy-")
    for part in ("deps", ".fingerprint", "build"):
        shutil.copytree(
            built / part, partial / "debug" / part, symlinks=True,
            ignore=lambda _, names: [name for name in names if name.startswith(ours)],
            # Compilers replace these files rather than write into them, so hard links are safe.
            copy_function=os.link if part == "deps" else shutil.copy2,
        )
    partial.rename(target)


def copy_workspace(scratch):
    """Updates the copy file by file, so that unchanged files are not built again."""
    wanted = set()
    for base, directories, files in os.walk(ROOT):
        directories[:] = [d for d in directories if d not in ("target", ".git")]
        for file in files:
            path = os.path.relpath(os.path.join(base, file), ROOT)
            if path == ".git":
                continue
            wanted.add(path)
            source, copy = ROOT / path, scratch / path
            if not copy.exists() or copy.read_bytes() != source.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
                shutil.copymode(source, copy)
    for copy in scratch.rglob("*"):
        if copy.is_file() and str(copy.relative_to(scratch)) not in wanted:
            copy.unlink()


def operation_for_path(listed, path):
    """The operation that `operations` prints for this path."""
    found = re.search(
        rf'^# GET {re.escape(path)}(?::| |$).*?^operation = "([^"]+)"', listed, re.MULTILINE | re.DOTALL
    )
    return found and found[1]
