using System.Net.Http.Headers;
using System.Text.Json;
using Google.Protobuf;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.LiveKit.ServerApi;

/// <summary>Whether a request may be sent again when its first try got no answer.</summary>
internal enum Repeat
{
    Never,
    Safe,
}

/// <summary>Calls LiveKit's server API: Twirp over HTTP with protobuf bodies and a token that allows just that one request.</summary>
internal sealed class TwirpClient(HttpClient http, LiveKitServer server, TimeProvider clock)
{
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(10);

    private const int MaxResponseBytes = 16 * 1024 * 1024;

    // Long enough for a slow clock, short enough to be worthless when leaked.
    private static readonly TimeSpan TokenLifetime = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan[] Pauses = [TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(400)];

    private static readonly MediaTypeHeaderValue Protobuf = new("application/protobuf");

    /// <param name="method">Service and method, e.g. <c>livekit.RoomService/CreateRoom</c>.</param>
    /// <exception cref="LiveKitApiException">Refused, not reachable or late.</exception>
    public async Task<TResponse> CallAsync<TResponse>(
        string method,
        IMessage request,
        AccessToken grants,
        Repeat repeat,
        CancellationToken cancellationToken,
        TimeSpan? timeout = null)
        where TResponse : IMessage<TResponse>, new()
    {
        var body = request.ToByteArray();
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await SendAsync<TResponse>(method, body, grants, timeout ?? DefaultTimeout, cancellationToken);
            }
            catch (LiveKitApiException e) when (repeat is Repeat.Safe && e.IsRetryable && attempt < Pauses.Length)
            {
                await Task.Delay(Pauses[attempt], clock, cancellationToken);
            }
        }
    }

    private async Task<TResponse> SendAsync<TResponse>(
        string method, byte[] body, AccessToken grants, TimeSpan timeout, CancellationToken cancellationToken)
        where TResponse : IMessage<TResponse>, new()
    {
        using var late = new CancellationTokenSource(timeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        using var message = new HttpRequestMessage(HttpMethod.Post, new Uri(server.HttpUrl, "twirp/" + method));
        message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", grants.Sign(server.Key, clock.GetUtcNow(), TokenLifetime));
        message.Content = new ByteArrayContent(body) { Headers = { ContentType = Protobuf } };
        try
        {
            using var response = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, either.Token);
            await response.Content.LoadIntoBufferAsync(MaxResponseBytes, either.Token);
            var content = await response.Content.ReadAsByteArrayAsync(either.Token);
            return response.IsSuccessStatusCode ? Parse<TResponse>(content, response) : throw ReadError(content, response);
        }
        catch (OperationCanceledException e) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new LiveKitApiException("deadline_exceeded", $"LiveKit did not answer {method} within {timeout.TotalSeconds:0} s.", cause: e);
        }
        catch (HttpRequestException e)
        {
            throw new LiveKitApiException("unavailable", $"LiveKit could not be reached for {method}: {e.Message}", cause: e);
        }
    }

    private static TResponse Parse<TResponse>(byte[] content, HttpResponseMessage response)
        where TResponse : IMessage<TResponse>, new()
    {
        try
        {
            return new MessageParser<TResponse>(() => new TResponse()).ParseFrom(content);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new LiveKitApiException("malformed", "LiveKit's answer is not readable; is the address that of a LiveKit server?", response.StatusCode, cause: e);
        }
    }

    private static LiveKitApiException ReadError(byte[] content, HttpResponseMessage response)
    {
        try
        {
            using var document = JsonDocument.Parse(content);
            var root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("code", out var code) && code.ValueKind == JsonValueKind.String)
            {
                var text = root.TryGetProperty("msg", out var msg) && msg.ValueKind == JsonValueKind.String ? msg.GetString() : null;
                return new LiveKitApiException(code.GetString()!, string.IsNullOrEmpty(text) ? code.GetString()! : text, response.StatusCode, ReadMeta(root));
            }
        }
        catch (JsonException)
        {
            // Not LiveKit's own words: something between us answered.
        }

        var status = (int)response.StatusCode;
        return new LiveKitApiException(status >= 500 ? "unavailable" : "unknown", $"LiveKit answered with HTTP status {status}.", response.StatusCode);
    }

    private static Dictionary<string, string> ReadMeta(JsonElement root)
    {
        var meta = new Dictionary<string, string>(StringComparer.Ordinal);
        if (root.TryGetProperty("meta", out var given) && given.ValueKind == JsonValueKind.Object)
        {
            foreach (var entry in given.EnumerateObject())
            {
                meta[entry.Name] = entry.Value.ToString();
            }
        }

        return meta;
    }
}
