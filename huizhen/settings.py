"""Every setting of the server: one model; file (huizhen.toml), then HUIZHEN_* variables, then command-line flags."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "HUIZHEN_"
CONFIG_VARIABLE = "HUIZHEN_CONFIG"
# HUIZHEN_* variables that are no settings: read by `keys backup` and `keys restore`, and by the test suite.
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "HUIZHEN_PASSPHRASE", "HUIZHEN_TEST_NO_SKIP"})
DEFAULT_FILE = Path("huizhen.toml")

Words = Annotated[tuple[str, ...], NoDecode]


class SettingsError(Exception):
    """The configuration cannot be used; `problems` are lines for a person, one per fault."""

    code = "config.invalid"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """Frozen after loading. Field descriptions become docs/settings.md (`huizhen config docs`)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, toml_file=DEFAULT_FILE)

    # where things are
    data_dir: Path = Field(
        Path("data"),
        description="Directory of the database, keys, recordings and spool. `huizhen backup` leaves the keys out; "
        "`huizhen keys backup` saves them.",
    )
    keys_dir: Path | None = Field(
        None,
        description="Directory of the key files; better on another disk than the database. "
        "Default: `keys` in the data directory.",
    )
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of the database. Default: SQLite file `huizhen.db` in the data directory."
    )
    static_dir: Path | None = Field(None, description="Built web client. Default: the one inside the package.")
    deployment: str = Field(
        "huizhen",
        pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$",
        description="Name of this installation in audit logs and seals. Choose it once; it must never change.",
    )
    rules_dir: Path | None = Field(
        None,
        description="Folder of rule overlays (`*.json`: a province's values, a dated notice), read at start. "
        "Default: `rules` in the data directory.",
    )
    node: str = Field("n1", pattern=r"^[a-z0-9-]{1,32}$", description="Name of this server process in the audit trail.")

    # the web server
    host: str = Field("127.0.0.1", description="Address the web server listens on; `0.0.0.0` for all of IPv4.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port of the web server; 0 picks a free one.")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+$",
        description="What patients type or scan, without a path (`https://consult.example.cn`). "
        "Default: made from host and port. With `https` cookies become Secure and HSTS is sent.",
    )
    allowed_origins: Words = Field(
        (),
        description="Further origins whose pages may call the server, comma-separated. "
        "The public URL is always allowed.",
    )
    tls_certificate: Path | None = Field(None, description="PEM chain; with `tls_key` the server speaks https itself.")
    tls_key: Path | None = Field(None, description="PEM private key that belongs to `tls_certificate`.")
    lan: bool = Field(
        False,
        description="Listen on the local network with https and a self-made certificate, "
        "so that a phone can join a try-out.",
    )
    proxy_count: int = Field(
        0,
        ge=0,
        le=5,
        description="Reverse proxies in front whose X-Forwarded-For is believed when counting attempts per source.",
    )
    body_limit: int = Field(262_144, ge=1_024, le=16_777_216, description="Largest request body in bytes.")
    request_seconds: float = Field(30.0, gt=0, le=600, description="Longest time one REST request may take.")
    metrics_token: str | None = Field(
        None, min_length=16, description="Bearer token for `/metrics`. Without one only loopback addresses may read it."
    )

    # media
    media_host: str = Field("0.0.0.0", description="IPv4 address of the media port (UDP and TCP).")  # noqa: S104
    media_host6: str | None = Field(None, description="IPv6 address of the media port; none = IPv4 only.")
    media_port: int = Field(
        0, ge=0, le=65535, description="Media port, the same number for UDP and TCP; 0 picks a free one."
    )
    media_announce: Words = Field(
        (),
        description="Addresses told to browsers, comma-separated (`203.0.113.7`, `ip:port`, `udp:ip:port`). "
        "Default: every interface.",
    )
    media_tcp: bool = Field(True, description="Offer media over TCP where UDP is blocked.")

    # people and doors
    session_hours: float = Field(8.0, gt=0, le=24, description="Longest life of a staff login.")
    idle_minutes: float = Field(30.0, gt=0, le=480, description="A staff login ends after so long without a request.")
    step_up_minutes: float = Field(
        5.0, gt=0, le=15, description="How long a repeated password counts for dangerous acts."
    )
    device_days: int = Field(14, ge=1, le=90, description="Life of a patient's device after the link was opened.")
    link_days: int = Field(14, ge=1, le=90, description="Life of a patient link that nobody opened.")
    login_failures_per_minute: int = Field(
        5, ge=1, le=100, description="Failed logins and link attempts per source and per account."
    )
    requests_per_minute: int = Field(1_200, ge=10, le=100_000, description="REST requests per source.")
    argon2_time_cost: int = Field(3, ge=1, le=10, description="argon2id passes over memory.")
    argon2_memory_kib: int = Field(65_536, ge=8, le=1_048_576, description="argon2id memory in KiB.")
    argon2_parallelism: int = Field(2, ge=1, le=8, description="argon2id lanes.")
    password_length: int = Field(10, ge=4, le=64, description="Shortest password that is accepted when one is set.")

    # recording and archive: the first five are the answers of institutions that gave none of their own (docs/rules.md)
    late_joiner: Literal["pause", "wait"] = Field(
        "pause",
        description="Somebody who has not decided about recording comes to a recorded consult: the recording pauses "
        "until they decide, or they wait outside until then. An institution may decide otherwise (HZ-17).",
    )
    guest_refuses: Literal["unrecorded", "keep_out"] = Field(
        "unrecorded",
        description="A guest who said no to recording comes to a recorded consult: nothing is recorded while they are "
        "there, or they wait outside. An institution may decide otherwise (HZ-17).",
    )
    exam_views: Literal["never", "by_consent"] = Field(
        "never",
        description="Whether an exam view is recorded: never, or where the patient permitted it and the recording. "
        "An institution may decide otherwise (HZ-17).",
    )
    privacy_resume: Literal["asker", "doctor"] = Field(
        "asker",
        description="Who ends a privacy pause: only who asked for it (or the doctor once that person has left), "
        "or the leading doctor as well. An institution may decide otherwise (HZ-17).",
    )
    other_withdraws: Literal["privacy_interval", "stop"] = Field(
        "privacy_interval",
        description="What the withdrawal of somebody other than the patient does to a recording. "
        "An institution may decide otherwise (HZ-17).",
    )
    free_space_floor_mb: int = Field(
        512, ge=16, description="Below this much free disk no recording starts and a running one stops."
    )

    # uploads
    upload_limit_mb: int = Field(
        20, ge=1, le=200, description="Largest uploaded paper (photo or PDF of follow-up evidence), in MiB."
    )
    upload_seconds: float = Field(
        180.0, gt=0, le=900, description="Longest time one upload may take, inspection included."
    )
    image_limit_mb: int = Field(
        256, ge=1, le=480, description="Largest delivery of images (DICOM, ECG, photos, PDF) to a consult, in MiB."
    )
    arriving_limit_mb: int = Field(
        4_096, ge=1, le=1_048_576, description="All unfinished resumable uploads of images together, in MiB."
    )
    arriving_hours: float = Field(
        72.0, gt=0, le=336, description="A resumable upload that is not finished after so long is removed."
    )
    pacs_file: Path | None = Field(
        None,
        description="TOML file (mode 600) with each institution's own image archive: address and credentials for "
        "DICOMweb (docs/images.md). Default: images come by upload only.",
    )
    clamd_socket: Path | None = Field(
        None, description="Unix socket of a ClamAV daemon. With it no uploaded paper is taken unscanned."
    )

    # consent on paper, and outside authorities
    font_dir: Path | None = Field(
        None,
        description="Folder of further fonts (OTF, TTF) for consent papers, for names with rare characters. "
        "Default: only the packaged Noto Sans SC.",
    )
    font_family: str = Field(
        "", max_length=100, description="Family in `font_dir` that is tried before the packaged font."
    )
    timestamp_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s]+$",
        description="RFC 3161 time stamping server for consents; needs `timestamp_root`. Default: none is asked.",
    )
    timestamp_root: Path | None = Field(None, description="PEM root certificates that the time stamps must lead to.")
    certificate_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s]+$",
        description="Gateway of a certificate authority that issues an event certificate per signature "
        "(docs/consent-evidence.md); needs `certificate_root`. Default: none is asked.",
    )
    certificate_root: Path | None = Field(None, description="PEM root certificates of that authority.")
    certificate_token: str | None = Field(None, min_length=16, description="Bearer token the gateway wants to see.")
    attest_seconds: float = Field(
        15.0, gt=0, le=3600, description="How often consents without an authority's word are looked for."
    )

    # reading aloud
    speech: Literal["auto", "espeak-ng", "none"] = Field(
        "auto",
        description="Voice that reads consent texts and prompts aloud: espeak-ng; `auto` = where it is installed. "
        "Without one the phone's own voice is offered, where it has one.",
    )

    # housekeeping
    checkpoint_seconds: float = Field(
        60.0, gt=0, le=60, description="How soon new audit leaves are under a signed checkpoint."
    )
    sweep_seconds: float = Field(
        60.0, gt=0, le=3600, description="How often forgotten consults and expired sessions are looked for."
    )
    retention_hours: float = Field(
        24.0, gt=0, le=168, description="How often the archive is searched for records that became due."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least serious log line that is written."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="Machine-readable lines, or coloured ones for a terminal."
    )

    @field_validator("allowed_origins", "media_announce", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _pairs(self) -> "Settings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if (self.timestamp_url is None) != (self.timestamp_root is None):
            raise ValueError("timestamp_url and timestamp_root belong together")
        if (self.certificate_url is None) != (self.certificate_root is None):
            raise ValueError("certificate_url and certificate_root belong together")
        if self.lan and self.tls_certificate is not None:
            raise ValueError("lan makes its own certificate: leave tls_certificate out")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags win over the environment, the environment over the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file(os.environ))

    @property
    def keys_path(self) -> Path:
        return self.keys_dir or self.data_dir / "keys"

    @property
    def blobs_path(self) -> Path:
        return self.data_dir / "blobs"

    @property
    def rules_path(self) -> Path:
        """`rules_dir`, or `rules` in the data directory."""
        return self.rules_dir or self.data_dir / "rules"

    @property
    def spool_path(self) -> Path:
        return self.data_dir / "spool"

    @property
    def uploads_path(self) -> Path:
        return self.data_dir / "uploads"

    @property
    def arriving_path(self) -> Path:
        """Resumable uploads on their way, encrypted."""
        return self.data_dir / "arriving"

    @property
    def tls_path(self) -> Path:
        return self.data_dir / "tls"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{(self.data_dir / 'huizhen.db').resolve()}"

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by https (cookies Secure, HSTS)."""
        if self.public_url is not None:
            return self.public_url.startswith("https://")
        return self.lan or self.tls_certificate is not None


def config_file(environ: Mapping[str, str]) -> Path:
    return Path(environ.get(CONFIG_VARIABLE, DEFAULT_FILE))


def load(**flags: Any) -> Settings:
    """Settings from file, environment and flags (None = flag not given). Raises SettingsError naming every fault."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | OTHER_VARIABLES
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    problems = [f"{name}: no such setting" for name in unknown]
    given = os.environ.get(CONFIG_VARIABLE)
    if given is not None and not Path(given).is_file():
        problems.append(f"{CONFIG_VARIABLE}: no such file")
    if problems:
        raise SettingsError(tuple(problems))
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        # values are left out on purpose: a misplaced secret must not end up on a screen or in a log
        lines = (f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors())
        raise SettingsError(tuple(lines)) from None
    except ValueError as error:  # tomllib's decode error
        raise SettingsError((f"{config_file(os.environ)}: {error}",)) from None


def reference() -> str:
    """docs/settings.md: each setting with its variable, default and meaning."""
    lines = [
        "# Settings",
        "",
        "Generated by `huizhen config docs`; a test fails when it is stale. Read in this order, later wins:",
        f"`huizhen.toml` in the working directory (or the file named by `{CONFIG_VARIABLE}`), `HUIZHEN_*` environment",
        "variables, command-line flags.",
        "Unknown keys are refused. `huizhen config check` says what is in force and what is wrong.",
        "",
        "| key in the file | variable | default | meaning |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default) if field.default != () else ""
        choices = _choices(field.annotation)
        meaning = (field.description or "").replace("|", "\\|") + (f" One of: {choices}." if choices else "")
        lines.append(f"| `{name}` | `{PREFIX}{name.upper()}` | {f'`{default}`' if default else 'none'} | {meaning} |")
    return "\n".join(lines) + "\n"


def _choices(annotation: Any) -> str:
    values = getattr(annotation, "__args__", ()) if getattr(annotation, "__origin__", None) is Literal else ()
    return ", ".join(f"`{value}`" for value in values)
