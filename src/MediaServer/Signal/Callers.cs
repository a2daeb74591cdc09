using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.MediaServer.Signal;

/// <summary>Finds out who calls, from the bearer token or the <c>access_token</c> parameter of a request.</summary>
internal sealed class Callers(MediaServerOptions options, TimeProvider clock)
{
    private const string BearerPrefix = "Bearer ";

    private readonly TokenVerifier _verifier = new(id => options.ApiKeys.GetValueOrDefault(id), clock);

    /// <summary>The token as given; null when there is none.</summary>
    public static string? TokenOf(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        if (header.StartsWith(BearerPrefix, StringComparison.OrdinalIgnoreCase))
        {
            return header[BearerPrefix.Length..].Trim();
        }

        var query = request.Query["access_token"].ToString();
        return query.Length > 0 ? query : null;
    }

    /// <param name="refusal">What LiveKit would say, in its words where clients may know them.</param>
    public bool TryVerify(string? token, [NotNullWhen(true)] out VerifiedToken? caller, [NotNullWhen(false)] out string? refusal)
    {
        if (token?.Count(c => c == '.') is not 2)
        {
            (caller, refusal) = (null, "invalid authorization token");
            return false;
        }

        if (_verifier.TryVerify(token, out caller, out var reason))
        {
            refusal = null;
            return true;
        }

        refusal = $"invalid token: {reason}";
        return false;
    }
}
