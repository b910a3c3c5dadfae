"""Container images from a Containerfile, without a builder: an OCI image layout in a tar archive.

Takes the instructions that systemd/Containerfile uses, from scratch, and refuses every other.
The archive of one platform also has the manifest.json of `docker save`, so that `docker load` of
every version takes it. The same files give the same bytes: times are those of the commit.
"""

import dataclasses
import datetime
import gzip
import hashlib
import io
import json
import pathlib
import re
import shlex
import shutil
import tarfile
import tempfile

from binaries import ROOT, VERSION, commit

CONTAINERFILE = ROOT / "systemd" / "Containerfile"
# An image runs without rights, as this user unless `--user` names another.
USER_ID = 65532
# The platform of each target: architecture and variant, as Docker spells them.
PLATFORMS = {
    "x86_64-unknown-linux-musl": ("amd64", None),
    "aarch64-unknown-linux-musl": ("arm64", "v8"),
    "armv7-unknown-linux-musleabihf": ("arm", "v7"),
    "arm-unknown-linux-musleabihf": ("arm", "v6"),
}
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


class Refused(Exception):
    """A Containerfile that this cannot build."""


# ---- The directory that an image is built in -------------------------------------------------


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_context(directory):
    """What the Containerfile needs beside the program: itself, with the values of this commit,
    and /data, since an image from scratch has nothing to make a directory with."""
    revision, seconds = commit()
    text = CONTAINERFILE.read_text()
    for name, value in {"VERSION": VERSION, "REVISION": revision, "CREATED": rfc3339(seconds)}.items():
        text, count = re.subn(rf"^ARG {name}=.*$", f"ARG {name}={value}", text, flags=re.MULTILINE)
        if count != 1:
            raise Refused(f"{CONTAINERFILE} has {count} lines ARG {name}=…, not one")
    (directory / "Containerfile").write_text(text)
    data = tarfile.TarInfo("data")
    data.type, data.mode, data.uid, data.gid = tarfile.DIRTYPE, 0o1777, USER_ID, USER_ID
    (directory / "container.tar").write_bytes(tar([(data, b"")], seconds))
    for name in ("Containerfile", "container.tar"):
        (directory / name).chmod(0o644)


# ---- The image ----------------------------------------------------------------------------------


@dataclasses.dataclass
class Image:
    """Its configuration, as runtimes read it, and the tar of each layer."""

    configuration: dict
    layers: list


def build_program(program, target):
    """The image of this commit with a program that was built for the target."""
    with tempfile.TemporaryDirectory(prefix="main-node-image-") as name:
        context = pathlib.Path(name)
        write_context(context)
        shutil.copyfile(program, context / "main-node")
        (context / "main-node").chmod(0o755)
        return build(context, target)


def build(context, target):
    """What `docker build -f Containerfile .` makes in this directory for the target's platform."""
    architecture, variant = PLATFORMS[target]
    lines = instructions((context / "Containerfile").read_text())
    if next(lines, None) != ("FROM", "scratch"):
        raise Refused("only `FROM scratch` can be built here")
    arguments, layers, history, config = {}, [], [], {"Env": []}
    created = commit()[1]
    for word, text in lines:
        history.append({"created": rfc3339(created), "created_by": f"{word} {text}", "empty_layer": word not in ("ADD", "COPY")})
        if word == "ARG":
            name, _, arguments[name] = text.partition("=")
        elif word in ("ADD", "COPY"):
            layers.append(tar(files(context, word, text), created))
        elif word in SETTINGS:
            text = re.sub(r"\$(\w+)", lambda match: arguments[match[1]], text)
            SETTINGS[word](config, text)
        else:
            raise Refused(f"{word} cannot be built here")
    digests = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    configuration = {
        "created": rfc3339(created),
        "architecture": architecture,
        **({"variant": variant} if variant else {}),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": history,
    }
    return Image(configuration, layers)


def instructions(text):
    """(word, the rest) of each instruction."""
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest


def files(context, word, text):
    """The files of ADD ARCHIVE / and of COPY FILE /NAME."""
    source, destination = text.split()
    if word == "ADD":
        with tarfile.open(context / source) as archive:
            return [(member, archive.extractfile(member).read() if member.isfile() else b"") for member in archive]
    program = tarfile.TarInfo(destination.lstrip("/"))
    content = (context / source).read_bytes()
    program.mode, program.size = (context / source).stat().st_mode & 0o777, len(content)
    return [(program, content)]


def label(config, text):
    config.setdefault("Labels", {}).update(word.split("=", 1) for word in shlex.split(text))


def healthcheck(config, text):
    """Docker's extension of the format, with durations in nanoseconds."""
    options, _, command = text.partition("CMD ")
    names = {"--interval": "Interval", "--timeout": "Timeout", "--start-period": "StartPeriod"}
    check = {"Test": ["CMD", *json.loads(command)]}
    for option in options.split():
        name, _, seconds = option.partition("=")
        check[names[name]] = int(seconds.removesuffix("s")) * 1_000_000_000
    config["Healthcheck"] = check


SETTINGS = {
    "ENTRYPOINT": lambda config, text: config.update(Entrypoint=json.loads(text)),
    "ENV": lambda config, text: config["Env"].extend(shlex.split(text)),
    "EXPOSE": lambda config, text: config.update(ExposedPorts={f"{text}/tcp": {}}),
    "HEALTHCHECK": healthcheck,
    "LABEL": label,
    "USER": lambda config, text: config.update(User=text),
    "VOLUME": lambda config, text: config.update(Volumes={text: {}}),
    "WORKDIR": lambda config, text: config.update(WorkingDir=text),
}


# ---- The archive --------------------------------------------------------------------------------


class Layout:
    """An OCI image layout in memory; each blob is stored once, under its digest."""

    def __init__(self):
        self.blobs = {}

    def add(self, media_type, content):
        if isinstance(content, dict):
            content = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def add_image(self, image):
        """The descriptor of its manifest, and what `docker save` says of it."""
        layers = [self.add(LAYER_TYPE, gzip.compress(layer, 9, mtime=0)) for layer in image.layers]
        config = self.add(CONFIG_TYPE, image.configuration)
        manifest = self.add(MANIFEST_TYPE, {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers})
        platform = {name: image.configuration[name] for name in ("architecture", "os", "variant") if name in image.configuration}
        saved = {"Config": path_of(config), "Layers": [path_of(layer) for layer in layers]}
        return {**manifest, "platform": platform}, saved

    def write(self, file, descriptor, saved, seconds):
        named = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": VERSION}}
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [named]}
        documents = {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": index}
        if saved:
            documents["manifest.json"] = [{**saved, "RepoTags": [f"main-node:{VERSION}", "main-node:latest"]}]
        content = {**self.blobs, **{name: json.dumps(document).encode() for name, document in documents.items()}}
        members = []
        for name, data in sorted(content.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            members.append((member, data))
        file.write_bytes(tar(members, seconds))


def path_of(descriptor):
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def write_archives(images, directory):
    """One archive per platform and one with all of them; `images` by target."""
    seconds = commit()[1]
    everything, manifests, written = Layout(), [], []
    for target, image in images.items():
        layout = Layout()
        file = directory / f"main-node-{VERSION}-{platform_name(target).replace('/', '-')}.tar"
        layout.write(file, *layout.add_image(image), seconds)
        manifests.append(everything.add_image(image)[0])
        written.append(file)
    index = everything.add(INDEX_TYPE, {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests})
    file = directory / f"main-node-{VERSION}-oci.tar"
    everything.write(file, index, None, seconds)
    return [*written, file]


def platform_name(target):
    """linux/arm/v7, as in `docker pull --platform`."""
    architecture, variant = PLATFORMS[target]
    return "/".join(["linux", architecture, *([variant] if architecture == "arm" else [])])


def tar(members, seconds):
    """A tar of (member, content), all of the same time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in members:
            member.mtime = seconds
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def unpack(image, directory):
    """The root directory that a container of this image has. Owners need root."""
    for layer in image.layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            archive.extractall(directory, numeric_owner=True)
