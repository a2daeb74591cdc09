using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.Host;

/// <summary>
/// Reads the Idempotency-Key of every POST and hands it to the first command that the request leads to (<see cref="Idempotency"/>).
/// Without a known caller it means nothing: a key belongs to somebody.
/// </summary>
internal static class IdempotencyKeys
{
    private const string Header = "Idempotency-Key";
    private const string ReplayedHeader = "Idempotency-Replayed";
    private const int MaxLength = 255;
    private const int MaxBuffered = 1024 * 1024;

    public static void UseIdempotencyKeys(this IApplicationBuilder app) => app.Use(async (context, next) =>
    {
        var text = context.Request.Headers[Header].ToString();
        if (text.Length == 0 || !HttpMethods.IsPost(context.Request.Method) || context.User.Identity is not { IsAuthenticated: true })
        {
            await next(context);
            return;
        }

        if (text.Length > MaxLength || text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            await context.WriteProblemAsync(
                StatusCodes.Status400BadRequest,
                new Error(ErrorKind.Malformed, "idempotency_key_malformed", $"'{Header}' must be 1 to {MaxLength} printable ASCII characters."));
            return;
        }

        var key = context.RequestServices.GetRequiredService<RequestKey>();
        key.Set(new IdempotencyKey(text, await HashAsync(context.Request, context.RequestAborted)));
        context.Response.OnStarting(() =>
        {
            if (key.IsReplay)
            {
                context.Response.Headers[ReplayedHeader] = "true";
            }

            return Task.CompletedTask;
        });
        await next(context);
    });

    private static async Task<byte[]> HashAsync(HttpRequest request, CancellationToken ct)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{request.Method} {request.Path}{request.QueryString}\n"));
        request.EnableBuffering(bufferThreshold: MaxBuffered);
        var buffer = new byte[16 * 1024];
        for (int read; (read = await request.Body.ReadAsync(buffer, ct)) > 0;)
        {
            hash.AppendData(buffer, 0, read);
        }

        request.Body.Position = 0;
        return hash.GetHashAndReset();
    }
}
