"""The recipe language: threads and GUIs, with all that stands under them."""

from __future__ import annotations

from instantiator.recipe.kinds import (
    Anything,
    Boolean,
    Choice,
    Duration,
    Field,
    Integer,
    ListOf,
    MapOf,
    Mapping,
    Number,
    Size,
    Text,
    Value,
)
from instantiator.recipe.model import (
    CompareRule,
    Grant,
    Gui,
    GuiKind,
    Input,
    InputType,
    Need,
    OpenGl,
    Output,
    Parameter,
    ParameterType,
    Refusal,
    Resources,
    Script,
    ScriptLanguage,
    Success,
    Thread,
)
from instantiator.recipe.texts import ARGUMENT, IDENTIFIER, INSIDE, LINE, NAME, PROSE, REGEX, VARIABLE

# What `parse_profile` of instantiator.display reads: a kind, and what is not as usual about it.
DISPLAY = Text(
    means="a display profile: truecolor, fixed or pseudocolor8, then WxH, dpi=N, keymap=LAYOUT, windows=single|desktop",
    pattern=r"(truecolor|fixed|pseudocolor8)( [1-9][0-9]{2,3}x[1-9][0-9]{2,3})?( dpi=[1-9][0-9]{1,2})?"
    r"( keymap=[a-z]{2,12}(:[a-z_0-9]{1,24})?)?( windows=(single|desktop))?",
)
# SYS_ADMIN, SYS_MODULE, SYS_RAWIO, BPF and the like give power over the host: no reason is good enough.
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETUID", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE", "SYS_RESOURCE",
)  # fmt: skip
COMPARE_RULES = ("bytes", "text", "table", "fits", "tree", "notebook")

ENVIRONMENT = MapOf(key=VARIABLE, item=ARGUMENT, noun="variable")


def _compare_rule(*, rule: str = "bytes", **options: object) -> CompareRule:
    return CompareRule(rule=rule, options=options)


NEED = Mapping(
    noun="need",
    help="Something a container is not given by default, and the reason, which the user sees.",
    make=Need,
    fields=(
        Field(
            key="grant",
            kind=Choice(words=tuple(Grant), enum=Grant),
            help="network access, a writable root file system, or a Linux capability",
            required=True,
        ),
        Field(key="reason", kind=PROSE, help="why the program cannot work without it"),
        Field(
            key="capability",
            kind=Choice(words=CAPABILITIES),
            help="which one, where `grant` is capability; those that give power over the host are not listed",
        ),
    ),
)

NEEDS = ListOf(item=NEED)

RESOURCES = Mapping(
    noun="resources",
    help="The bounds of a container.",
    make=Resources,
    located=False,
    fields=(
        Field(
            key="memory", kind=Size(), help="memory, swap included", default="1 GiB", attribute="memory_mb"
        ),
        Field(key="cpus", kind=Number(minimum=0.1, maximum=1024), help="how many cores", default="1.0"),
        Field(
            key="processes",
            kind=Integer(minimum=1, maximum=65536),
            help="processes and threads",
            default="256",
        ),
        Field(key="disk", kind=Size(), help="what it may write", default="2 GiB", attribute="disk_mb"),
        Field(key="log", kind=Size(), help="what it may print", default="16 MiB", attribute="log_mb"),
    ),
)

INPUT = Mapping(
    noun="input",
    help="Data a thread reads, mounted read-only. In a template: `inputs.<name>`, its path in the container.",
    make=Input,
    fields=(
        Field(
            key="type",
            kind=Choice(words=tuple(InputType), enum=InputType),
            help="what it has to be; checked before the thread starts",
            required=True,
        ),
        Field(key="help", kind=PROSE, help="what the user is told"),
        Field(
            key="must_contain",
            kind=ListOf(item=INSIDE, unique=True),
            help="globs that each have to match in a directory",
            default="[]",
        ),
        Field(key="required", kind=Boolean(), help="whether a run is refused without it", default="true"),
        Field(
            key="calibration",
            kind=NAME,
            help="which calibration this directory is, as `ccf`: a run names one of its dates (docs/calibration.md)",
        ),
    ),
)

PARAMETER = Mapping(
    noun="parameter",
    help="A typed value a user may set. In a template: `params.<name>`, `none` where it was left out.",
    make=Parameter,
    fields=(
        Field(
            key="type",
            kind=Choice(words=tuple(ParameterType), enum=ParameterType),
            help="what values it takes; a time is ISO 8601 in UTC",
            required=True,
        ),
        Field(key="help", kind=PROSE, help="what the user is told"),
        Field(key="unit", kind=LINE, help="the unit of a number, as shown to the user"),
        Field(key="default", kind=Value(), help="the value where none is given"),
        Field(key="required", kind=Boolean(), help="whether a run is refused without it", default="false"),
        Field(key="min", kind=Number(), help="the least number allowed", attribute="minimum"),
        Field(key="max", kind=Number(), help="the greatest number allowed", attribute="maximum"),
        Field(
            key="choices",
            kind=ListOf(item=LINE, minimum=1, unique=True),
            help="the words of a choice",
            default="[]",
        ),
        Field(key="pattern", kind=REGEX, help="a regular expression that all of a text has to match"),
        Field(
            key="max_length",
            kind=Integer(minimum=1, maximum=100_000),
            help="how many characters a text may have",
            default="1000",
        ),
    ),
)

COMPARE = Mapping(
    noun="comparison",
    help="The rule that judges an output when a run is repeated; docs/comparison-rules.md has its options.",
    make=_compare_rule,
    located=False,
    others=Anything(),
    fields=(
        Field(
            key="rule",
            kind=Choice(words=COMPARE_RULES),
            help="how two files are compared; further keys are the rule's options",
            default="bytes",
        ),
    ),
)

OUTPUT = Mapping(
    noun="output",
    help="What a thread gives: one file, or any number by a glob.",
    make=Output,
    fields=(
        Field(
            key="path",
            kind=INSIDE,
            help="path or glob in the run's output folder (`out` in templates)",
            required=True,
        ),
        Field(
            key="media_type",
            kind=Text(
                means="a media type such as text/csv",
                pattern=r"[a-z]+/[A-Za-z0-9][A-Za-z0-9.+_-]*(?:; ?[a-z]+=[A-Za-z0-9.+_-]+)*",
                number=False,
            ),
            help="what the bytes are",
            required=True,
        ),
        Field(key="help", kind=PROSE, help="what the user is told"),
        Field(key="required", kind=Boolean(), help="whether a run without it has failed", default="true"),
        Field(key="compare", kind=COMPARE, help="the rule that judges it", default="{rule: bytes}"),
    ),
)

SCRIPT = Mapping(
    noun="script",
    help="A Jinja2 template of a program. What an expression gives never becomes program text (see below).",
    make=Script,
    located=False,
    fields=(
        Field(
            key="language",
            kind=Choice(words=tuple(ScriptLanguage), enum=ScriptLanguage),
            help="how values are put into it: sh, python, or plain for every other interpreter",
            required=True,
        ),
        Field(
            key="text",
            kind=Text(means="the script", multiline=True, exact=True, max_length=200_000),
            help="the template",
            required=True,
        ),
        Field(
            key="command",
            kind=ListOf(item=ARGUMENT, minimum=1),
            help="the argv before the script's path; sh and python know their own",
            default="[]",
        ),
    ),
)

REFUSAL = Mapping(
    noun="refusal",
    help="A pattern that makes a run a failed one, for some programs exit with 0 on errors.",
    make=Refusal,
    located=False,
    fields=(
        Field(key="in", kind=LINE, help="`log`, or the name of an output", required=True, attribute="where"),
        Field(key="pattern", kind=REGEX, help="a line that all of it matches fails the run", required=True),
        Field(key="message", kind=LINE, help="words before the line that was found"),
    ),
)

SUCCESS = Mapping(
    noun="success",
    help="When a run counts as done, besides its required outputs being there.",
    make=Success,
    located=False,
    fields=(
        Field(
            key="exit_status",
            kind=ListOf(item=Integer(minimum=0, maximum=255), minimum=1, unique=True),
            help="the exit statuses that mean success",
            default="[0]",
        ),
        Field(key="refuse", kind=ListOf(item=REFUSAL), help="patterns that must not be found", default="[]"),
    ),
)

THREAD = Mapping(
    noun="thread",
    help="A processing: typed inputs, parameters and outputs, and either an argv or a script.",
    make=Thread,
    exactly_one=(("command", "script"),),
    fields=(
        Field(key="title", kind=LINE, help="one line for lists", required=True),
        Field(key="help", kind=PROSE, help="what it does and what it needs"),
        Field(
            key="inputs",
            kind=MapOf(key=IDENTIFIER, item=INPUT, noun="input"),
            help="the data it reads",
            default="{}",
        ),
        Field(
            key="parameters",
            kind=MapOf(key=IDENTIFIER, item=PARAMETER, noun="parameter"),
            help="the values a user may set",
            default="{}",
        ),
        Field(
            key="outputs",
            kind=MapOf(key=NAME, item=OUTPUT, noun="output", minimum=1),
            help="what it gives",
            required=True,
        ),
        Field(
            key="command",
            kind=ListOf(item=ARGUMENT, minimum=1),
            help="the argv, each element a template of its own; no shell reads it",
            default="[]",
        ),
        Field(key="script", kind=SCRIPT, help="or a script"),
        Field(key="environment", kind=ENVIRONMENT, help="variables on top of the recipe's", default="{}"),
        Field(key="success", kind=SUCCESS, help="when a run counts as done", default="exit status 0"),
        Field(
            key="time_limit",
            kind=Duration(),
            help="after which a run is ended",
            default="1 h",
            attribute="time_limit_s",
        ),
        Field(key="resources", kind=RESOURCES, help="the bounds of the container", default="as below"),
        Field(key="needs", kind=NEEDS, help="what it needs beyond the default", default="[]"),
    ),
)

GUI = Mapping(
    noun="gui",
    help="A window or web application the user can open.",
    make=Gui,
    fields=(
        Field(key="title", kind=LINE, help="one line for lists", required=True),
        Field(
            key="command",
            kind=ListOf(item=ARGUMENT, minimum=1),
            help="the argv that starts it",
            required=True,
        ),
        Field(
            key="kind",
            kind=Choice(words=tuple(GuiKind), enum=GuiKind),
            help="X11 window or web application",
            default="x11",
        ),
        Field(
            key="display",
            kind=DISPLAY,
            help="the display profile: `truecolor` resizes with the browser, `fixed 800x600` does not, "
            "`pseudocolor8` is for programs that insist on 8 bits; then dpi=, keymap=, windows=single or desktop",
            default="truecolor",
        ),
        Field(
            key="window_class",
            kind=LINE,
            help="the WM_CLASS of its main window: it is ready when this is mapped",
        ),
        Field(key="window_title", kind=LINE, help="or part of that window's title"),
        Field(
            key="opengl",
            kind=Choice(words=tuple(OpenGl), enum=OpenGl),
            help="`software`: the program draws with OpenGL, on the processor; its packages have to bring Mesa's "
            "drivers (Debian's libgl1-mesa-dri)",
            default="none",
        ),
        Field(
            key="parameter_files",
            kind=ListOf(item=INSIDE, unique=True),
            help="globs of the files below HOME that hold its parameters: the session's record lists them as such",
            default="[]",
        ),
        Field(
            key="logs",
            kind=ListOf(item=INSIDE, unique=True),
            help="globs of the log files it writes below HOME: the session's record lists them as such",
            default="[]",
        ),
        Field(key="help", kind=PROSE, help="what the user is told"),
        Field(key="resources", kind=RESOURCES, help="the bounds of the container", default="as below"),
        Field(key="needs", kind=NEEDS, help="what it needs beyond the default", default="[]"),
    ),
)
