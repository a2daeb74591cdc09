namespace VoicePlatform.Contracts.Tenants;

/// <summary>Why a tenant's URL may not be used (a private address, say); null when it may.</summary>
public sealed record CheckTenantUrl(string Url) : IRequest<Result<UrlVerdict>>;

public sealed record UrlVerdict(string? Refusal);

/// <summary>
/// Asks a tenant's server and waits for its answer, guarded as webhooks are: no private addresses, nothing longer or later than allowed.
/// Unavailable when it does not answer as it should in time. Network I/O: never inside a transaction.
/// </summary>
/// <param name="BodyJson">Sent as application/json; null sends no body.</param>
/// <param name="AtMost">For the whole of it, redirects and body included.</param>
/// <param name="Method">GET, POST, PUT, PATCH, DELETE.</param>
/// <param name="Headers">Not sent to another server than that of <paramref name="Url"/>.</param>
/// <param name="FollowsRedirects">Up to three, each guarded again; otherwise a redirect is no answer.</param>
/// <param name="TakesAnything">Whatever it says is the answer: one that is no success too, and the beginning of one that is too long. Otherwise these are none.</param>
public sealed record AskTenantServer(
    string TenantId, string Url, string? BodyJson, TimeSpan AtMost, int MaxAnswerBytes,
    string Method = "POST", IReadOnlyList<KeyValuePair<string, string>>? Headers = null, bool FollowsRedirects = false, bool TakesAnything = false) : IRequest<Result<TenantAnswer>>;

/// <param name="Text">The body as it came; empty where there was none.</param>
/// <param name="Status">200 to 299, unless anything was to be taken.</param>
/// <param name="MediaType">What the server says it is ("application/json").</param>
public sealed record TenantAnswer(string Text, int Status = 200, string? MediaType = null);

/// <summary>The same for an IP address that something of a tenant's is to be reached at.</summary>
public sealed record CheckTenantAddress(string Address) : IRequest<Result<UrlVerdict>>;
