namespace VoicePlatform.Contracts.Tenants;

/// <summary>Why a tenant's URL may not be used (a private address, say); null when it may.</summary>
public sealed record CheckTenantUrl(string Url) : IRequest<Result<UrlVerdict>>;

public sealed record UrlVerdict(string? Refusal);

/// <summary>
/// Asks a tenant's server and waits for its JSON answer, guarded as webhooks are: no private addresses, no redirects. Unavailable
/// when it does not answer with success in time. Network I/O: never inside a transaction.
/// </summary>
public sealed record AskTenantServer(string TenantId, string Url, string BodyJson, TimeSpan AtMost, int MaxAnswerBytes) : IRequest<Result<TenantAnswer>>;

public sealed record TenantAnswer(string Json);

/// <summary>The same for an IP address that something of a tenant's is to be reached at.</summary>
public sealed record CheckTenantAddress(string Address) : IRequest<Result<UrlVerdict>>;
