"""The lint checks: what makes a recipe that is correct also a good one. One file each, one explicit list."""

from __future__ import annotations

import inspect

from instantiator.recipe.lint.bytes_rule import DatedOutputJudgedByBytes
from instantiator.recipe.lint.citation import NoCitation
from instantiator.recipe.lint.dataset_licence import DatasetWithoutLicence
from instantiator.recipe.lint.deposit_use import UnusedDeposit
from instantiator.recipe.lint.description import ShortDescription
from instantiator.recipe.lint.evaluated_expression import EvaluatedExpression
from instantiator.recipe.lint.home_path import HomePath
from instantiator.recipe.lint.licence import UnknownLicence
from instantiator.recipe.lint.mirror import SourceWithoutSecondMirror
from instantiator.recipe.lint.missing_fact import MissingFact
from instantiator.recipe.lint.model import Check, Finding, Severity, Spot
from instantiator.recipe.lint.need_reason import NeedWithoutReason
from instantiator.recipe.lint.network_reason import ThreadWantsNetwork
from instantiator.recipe.lint.network_step import StepUsesNetwork
from instantiator.recipe.lint.opengl_driver import OpenGlWithoutDriver
from instantiator.recipe.lint.parameter_help import ParameterWithoutHelp
from instantiator.recipe.lint.parameter_use import UnusedParameter
from instantiator.recipe.lint.pattern_empty import EmptyPattern
from instantiator.recipe.lint.pattern_literal import LiteralPattern
from instantiator.recipe.lint.pattern_slow import SlowPattern
from instantiator.recipe.lint.pinned_package import PinnedPackage
from instantiator.recipe.lint.placeholder import PlaceholderText
from instantiator.recipe.lint.plain_http import PlainHttp
from instantiator.recipe.lint.quoted_expression import QuotedExpression
from instantiator.recipe.lint.secret import SecretInEnvironment
from instantiator.recipe.lint.smoke_test import NoSmokeTest
from instantiator.recipe.lint.source_use import UnusedSource
from instantiator.recipe.lint.template_name import UnknownTemplateName
from instantiator.recipe.lint.template_syntax import BrokenTemplate
from instantiator.recipe.lint.window import GuiWithoutWindow
from instantiator.recipe.model import Recipe

__all__ = ["CHECKS", "Check", "Finding", "Severity", "describe_check", "run_checks"]

CHECKS: dict[str, Check] = {
    "broken-template": BrokenTemplate(),
    "dataset-without-licence": DatasetWithoutLicence(),
    "dated-output-judged-by-bytes": DatedOutputJudgedByBytes(),
    "empty-pattern": EmptyPattern(),
    "evaluated-expression": EvaluatedExpression(),
    "gui-without-window": GuiWithoutWindow(),
    "home-path": HomePath(),
    "literal-pattern": LiteralPattern(),
    "missing-fact": MissingFact(),
    "need-without-reason": NeedWithoutReason(),
    "no-citation": NoCitation(),
    "no-smoke-test": NoSmokeTest(),
    "opengl-without-driver": OpenGlWithoutDriver(),
    "parameter-without-help": ParameterWithoutHelp(),
    "pinned-package": PinnedPackage(),
    "placeholder-text": PlaceholderText(),
    "plain-http": PlainHttp(),
    "quoted-expression": QuotedExpression(),
    "secret-in-environment": SecretInEnvironment(),
    "short-description": ShortDescription(),
    "slow-pattern": SlowPattern(),
    "source-without-second-mirror": SourceWithoutSecondMirror(),
    "step-uses-network": StepUsesNetwork(),
    "thread-wants-network": ThreadWantsNetwork(),
    "unknown-licence": UnknownLicence(),
    "unknown-template-name": UnknownTemplateName(),
    "unused-deposit": UnusedDeposit(),
    "unused-parameter": UnusedParameter(),
    "unused-source": UnusedSource(),
}


def run_checks(recipe: Recipe) -> tuple[Finding, ...]:
    """What every check finds in a recipe, by line."""
    findings = [_finding(name, check, spot) for name, check in CHECKS.items() for spot in check.check(recipe)]
    return tuple(sorted(findings, key=lambda finding: (finding.location.line, finding.check)))


def describe_check(check: Check) -> tuple[str, str]:
    """What a check says is wrong, and why that matters and how to mend it: the two parts of its docstring."""
    message, _, fix = inspect.cleandoc(type(check).__doc__ or "").partition("\n\n")
    return message, " ".join(fix.split())


def _finding(name: str, check: Check, spot: Spot) -> Finding:
    message, fix = describe_check(check)
    return Finding(
        check=name,
        severity=check.severity,
        location=spot.location,
        message=f"{message.removesuffix('.')}: {spot.what}",
        fix=fix,
    )
