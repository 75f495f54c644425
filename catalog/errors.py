"""What asking a provider can find out."""

from __future__ import annotations

from core.errors import ProblemError, ProviderFailedError


class CredentialRejectedError(ProviderFailedError):
    """The provider answered, and the answer was no."""

    slug = "credential-rejected"
    remedy = "Check that the credential is current, belongs to this provider and may read what the check reads."


class UnexpectedAnswerError(ProviderFailedError):
    """The provider answered something that neither accepts nor refuses the credential."""

    slug = "provider-unexpected-answer"
    remedy = "Check the address and the identifiers in the configuration, then verify again."


class VerificationUnavailableError(ProblemError):
    """Nothing was asked, so nothing is known. The configuration itself is valid, hence no error status."""

    status = 200
    slug = "verification-unavailable"
    remedy = "Make a first call with the integration to see whether it works."


class ProviderBusyError(ProblemError):
    """The provider takes no more requests for now: it said so, or its definition's rate limit is used up.

    `Retry-After` says when to try again.
    """

    status = 429
    slug = "provider-busy"
    remedy = "Wait for as many seconds as `Retry-After` says."
