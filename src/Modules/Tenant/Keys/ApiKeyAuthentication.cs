using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace VoicePlatform.Tenants.Keys;

/// <summary>x-api-key or Authorization: Bearer. Tells the scope's <see cref="Caller"/> who asks.</summary>
internal sealed class ApiKeyAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> schemeOptions, ILoggerFactory logger, UrlEncoder encoder, KeyRing keys, Caller caller, IOptions<TenantOptions> options)
    : AuthenticationHandler<AuthenticationSchemeOptions>(schemeOptions, logger, encoder)
{
    public new const string Scheme = "ApiKey";

    private const string ScopeClaim = "scope";
    private const int MaxKeyLength = 200;

    private static readonly Error NoKey = new(ErrorKind.Unauthenticated, "auth.key_required", "Send an API key as x-api-key or as Authorization: Bearer.");
    private static readonly Error BadKey = new(ErrorKind.Unauthenticated, "auth.key_invalid", "The API key is unknown, expired or revoked.");
    private static readonly Error NoScope = new(ErrorKind.Forbidden, "auth.scope_missing", "The API key does not have the scope for this.");

    /// <summary>A policy a scope. Admin's key does everything of its tenant except read the ledger, which takes finance.</summary>
    public static void AddScopePolicies(AuthorizationOptions authorization)
    {
        Allow(Scopes.Admin, Scopes.Admin);
        Allow(Scopes.Operate, Scopes.Admin, Scopes.Operate);
        Allow(Scopes.Read, Scopes.Admin, Scopes.Operate, Scopes.Read);
        Allow(Scopes.Finance, Scopes.Finance);
        Allow(Scopes.FinanceOrOperate, Scopes.Finance, Scopes.Admin, Scopes.Operate);
        Allow(Scopes.FinanceOrAdmin, Scopes.Finance, Scopes.Admin);
        Allow(Scopes.FinanceOrRead, Scopes.Finance, Scopes.Admin, Scopes.Operate, Scopes.Read);
        Allow(Scopes.Platform, Scopes.Platform);

        void Allow(string policy, params string[] anyOf) => authorization.AddPolicy(policy, p => p.RequireClaim(ScopeClaim, anyOf));
    }

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var text = Request.Headers["x-api-key"].ToString();
        if (text.Length == 0 && Request.Headers.Authorization.ToString() is { } header && header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
        {
            text = header["Bearer ".Length..].Trim();
        }

        if (text.Length == 0)
        {
            return AuthenticateResult.NoResult();
        }

        if (text.Length > MaxKeyLength)
        {
            return AuthenticateResult.Fail(BadKey.Code);
        }

        if (options.Value.PlatformAdminKey is { } admin
            && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(text)), SHA256.HashData(Encoding.UTF8.GetBytes(admin))))
        {
            caller.BecomePlatform();
            return Ticket([new Claim(ScopeClaim, Scopes.Platform), new Claim(ClaimTypes.Role, Scopes.Platform)]);
        }

        if (await keys.FindAsync(text, Context.RequestAborted) is not { } key)
        {
            return AuthenticateResult.Fail(BadKey.Code);
        }

        caller.Become(key.TenantId, key.UserId, key.Id, key.IsTest, key.Scopes, key.DefaultAssistantId);
        return Ticket(key.Scopes.Select(s => new Claim(ScopeClaim, s)));
    }

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        var outcome = await HandleAuthenticateOnceSafeAsync();
        await Context.WriteProblemAsync(StatusCodes.Status401Unauthorized, outcome.Failure is null ? NoKey : BadKey);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) =>
        Context.WriteProblemAsync(StatusCodes.Status403Forbidden, NoScope);

    private static AuthenticateResult Ticket(IEnumerable<Claim> claims) =>
        AuthenticateResult.Success(new(new ClaimsPrincipal(new ClaimsIdentity(claims, Scheme)), Scheme));
}
