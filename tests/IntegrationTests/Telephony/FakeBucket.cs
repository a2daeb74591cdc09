using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace VoicePlatform.IntegrationTests.Telephony;

/// <summary>An object store on loopback, strict about what stores that call themselves S3-compatible do not all take: checksums in trailers, pieces with signatures between.</summary>
internal sealed class FakeBucket : IAsyncDisposable
{
    public const string AccessKey = "bucket-key";
    public const string Region = "eu-central-1";
    public const string Name = "calls";

    private const string Algorithm = "AWS4-HMAC-SHA256";

    private readonly WebApplication _app;

    private FakeBucket(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    /// <summary>By path, the bucket's name first.</summary>
    public ConcurrentDictionary<string, byte[]> Objects { get; } = new(StringComparer.Ordinal);

    public ConcurrentQueue<string> Refused { get; } = new();

    public static async Task<FakeBucket> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var bucket = new FakeBucket(builder.Build());
        bucket._app.Run(bucket.HandleAsync);
        await bucket._app.StartAsync();
        return bucket;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task HandleAsync(HttpContext http)
    {
        var request = http.Request;
        var path = request.Path.Value!.TrimStart('/');
        if (HttpMethods.IsPut(request.Method))
        {
            var authorization = request.Headers.Authorization.ToString();
            var isPlain = request.Headers.ContentEncoding.Count == 0 && !request.Headers.ContainsKey("x-amz-trailer")
                && !request.Headers["x-amz-content-sha256"].ToString().StartsWith("STREAMING", StringComparison.Ordinal);
            if (!path.StartsWith(Name + "/", StringComparison.Ordinal) || !isPlain
                || !authorization.StartsWith($"{Algorithm} Credential={AccessKey}/", StringComparison.Ordinal) || !authorization.Contains($"/{Region}/s3/", StringComparison.Ordinal))
            {
                Refuse(http, authorization);
                return;
            }

            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            Objects[path] = body.ToArray();
            http.Response.Headers.ETag = "\"1\"";
            return;
        }

        // Links may name the store as it is reached from outside; who works with it does not go there.
        if (HttpMethods.IsDelete(request.Method) && request.Host.Host == "127.0.0.1" && request.Headers.Authorization.ToString().StartsWith($"{Algorithm} Credential={AccessKey}/", StringComparison.Ordinal))
        {
            Objects.TryRemove(path, out _);
            http.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }

        var query = request.Query;
        var signed = HttpMethods.IsGet(request.Method) && query["X-Amz-Algorithm"] == Algorithm
            && query["X-Amz-Credential"].ToString().StartsWith(AccessKey + "/", StringComparison.Ordinal) && query["X-Amz-Credential"].ToString().Contains($"/{Region}/s3/", StringComparison.Ordinal)
            && int.TryParse(query["X-Amz-Expires"], out var seconds) && seconds is > 0 and <= 900
            && query["X-Amz-Signature"].ToString() is { Length: 64 } signature && signature.All(char.IsAsciiHexDigit);
        if (!signed || !Objects.TryGetValue(path, out var stored))
        {
            Refuse(http, request.QueryString.ToString());
            return;
        }

        await http.Response.Body.WriteAsync(stored);
    }

    private void Refuse(HttpContext http, string why)
    {
        Refused.Enqueue($"{http.Request.Method} {http.Request.Path}: {why}");
        http.Response.StatusCode = 403;
    }
}
