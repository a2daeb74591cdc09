namespace VoicePlatform.Contracts.Billing;

/// <summary>Something measured, to be priced by the rate card in force when the subject was accepted.</summary>
public sealed record Measured(string Component, string Unit, long Quantity)
{
    /// <summary>The number that its price goes by, in E.164: the one that is called. Null: it has no price by number.</summary>
    public string? Number { get; init; }

    /// <summary>Used by the tenant's own key at a provider, whom the tenant pays.</summary>
    public bool OwnKey { get; init; }

    /// <summary>Generated ahead and thrown away: it costs the tenant nothing, and the platform what its provider charges.</summary>
    public bool Discarded { get; init; }
}

/// <summary>Reserves what the given use would cost. Refused with payment_required when credits or a budget do not cover it. One per subject.</summary>
/// <param name="AssistantId">Whose budgets it counts for, beside the tenant's own.</param>
public sealed record PlaceHold(string TenantId, string SubjectId, string? AssistantId, IReadOnlyList<Measured> Expected) : ICommand<HoldPlaced>;

/// <summary>The subject's hold: the one there is where it was asked for again.</summary>
/// <param name="Amount">Micro-credits.</param>
public sealed record HoldPlaced(string HoldId, string RateCard, long Amount);

/// <summary>
/// Raises the subject's hold to cover the given use in all. Refused with payment_required when credits or a budget do not cover it. It is one statement, and
/// asked again it changes nothing: outside of a unit of work it opens none, for every conversation asks for it every few seconds.
/// </summary>
/// <param name="Needed">Where this much is held nothing is raised, so that a hold grows by slices; null: as expected.</param>
public sealed record ExtendHold(string TenantId, string SubjectId, IReadOnlyList<Measured> Expected, IReadOnlyList<Measured>? Needed = null) : IRequest<Result<Cover>>;

public enum Cover
{
    /// <summary>The subject never had a hold (in test mode): it costs nothing.</summary>
    NotNeeded,

    /// <summary>All of it is held.</summary>
    Held,

    /// <summary>The subject's hold is over: nothing is covered any more.</summary>
    Over,
}

/// <summary>Ends the subject's hold: charges what was used, gives back the rest. A second call answers the first one's charge.</summary>
public sealed record SettleHold(string TenantId, string SubjectId, IReadOnlyList<Measured> Used) : ICommand<Charge>;

/// <summary>
/// Charges what was learnt after the subject's hold had ended: the difference between what all of its use costs and what was known of it before. Asking
/// again for the same changes nothing. No lines: it costs nothing more.
/// </summary>
public sealed record ChargeLateUse(string TenantId, string SubjectId, IReadOnlyList<Measured> Before, IReadOnlyList<Measured> After) : ICommand<Charge>;

/// <param name="Cost">Micro-credits.</param>
public sealed record Charge(string? TransactionId, long Cost, IReadOnlyList<ChargeLine> Lines);

/// <summary>One priced line: amount = rate × quantity ÷ per, in micro-credits, rounded half up.</summary>
/// <param name="Component">With the prefix of the number whose price it is ("telephony_outbound:+4915"), and "llm_input:own_key" where a key of the tenant's was used.</param>
public sealed record ChargeLine(string Component, long Quantity, string Unit, long Rate, long Per, string RateCard, long Amount);

/// <summary>What the given use would cost if it were accepted now, by the same rules as a charge. Nothing is held.</summary>
public sealed record PriceUse(string TenantId, IReadOnlyList<Measured> Used) : IRequest<Result<PricedUse>>;

/// <param name="Amount">Micro-credits: the sum of the lines.</param>
public sealed record PricedUse(string RateCard, long Amount, IReadOnlyList<ChargeLine> Lines)
{
    /// <summary>Components that were used and have no price on the card: they cost nothing.</summary>
    public IReadOnlyList<string> Unpriced { get; init; } = [];
}
