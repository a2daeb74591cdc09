namespace VoicePlatform.Contracts.Billing;

/// <summary>
/// The sessions without a telephone that may cost something (none of test mode), in the order of their ids: after
/// <paramref name="After"/>, up to and with <paramref name="Until"/>. Billing asks it to reconcile its books; Session answers.
/// </summary>
public sealed record ListChargeableSessions(string After, string Until, int Limit) : IRequest<Result<IReadOnlyList<Chargeable>>>;

/// <summary>The calls that may cost something, as <see cref="ListChargeableSessions"/>; Call answers.</summary>
public sealed record ListChargeableCalls(string After, string Until, int Limit) : IRequest<Result<IReadOnlyList<Chargeable>>>;

/// <summary>Of these subjects, the sessions that <see cref="ListChargeableSessions"/> would tell of; Session answers.</summary>
public sealed record FindChargeableSessions(IReadOnlyCollection<string> SubjectIds) : IRequest<Result<IReadOnlyList<Chargeable>>>;

/// <summary>Of these subjects, the calls that <see cref="ListChargeableCalls"/> would tell of; Call answers.</summary>
public sealed record FindChargeableCalls(IReadOnlyCollection<string> SubjectIds) : IRequest<Result<IReadOnlyList<Chargeable>>>;

/// <summary>A conversation that a hold may be placed for.</summary>
/// <param name="SubjectId">The hold's subject: the session's id, or the call's.</param>
/// <param name="HasBegun">Caller and assistant were there: it must be charged.</param>
/// <param name="Cost">What its owner says it cost, in micro-credits; null while it is not over.</param>
public sealed record Chargeable(string SubjectId, string TenantId, bool HasBegun, bool IsOver, long? Cost);

/// <summary>
/// The telephone numbers that tenants have or had since then, in the order of their ids, after <paramref name="After"/>. Billing asks it to charge each
/// month of them; Trunk answers.
/// </summary>
public sealed record ListChargeableNumbers(string After, DateTimeOffset Since, int Limit) : IRequest<Result<IReadOnlyList<ChargeableNumber>>>;

/// <param name="Number">E.164.</param>
public sealed record ChargeableNumber(string Id, string TenantId, string Number, DateTimeOffset AddedAt);
