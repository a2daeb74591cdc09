using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace VoicePlatform.Sessions.Compat;

/// <summary>Lets in who knows AI_SERVER_SHARED_SECRET: as Authorization: Bearer or x-shared-secret.</summary>
internal sealed class SharedSecret(IOptions<CompatOptions> options) : IEndpointFilter
{
    private static readonly Error Wrong = new(ErrorKind.Unauthenticated, "auth.secret_invalid", "Send the shared secret as x-shared-secret or as Authorization: Bearer.");

    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var headers = context.HttpContext.Request.Headers;
        var given = headers["x-shared-secret"].ToString();
        if (given.Length == 0 && headers.Authorization.ToString() is { } bearer && bearer.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
        {
            given = bearer["Bearer ".Length..].Trim();
        }

        // Hashed first, so that neither length nor content shows in the time it takes.
        return CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given)), SHA256.HashData(Encoding.UTF8.GetBytes(options.Value.SharedSecret!)))
            ? await next(context)
            : Wrong.ToHttp();
    }
}
