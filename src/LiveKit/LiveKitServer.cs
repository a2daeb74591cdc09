using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.LiveKit;

/// <summary>Where a LiveKit server is and the key it knows us by. A ws, wss, http or https address serves for all uses.</summary>
public sealed class LiveKitServer
{
    private LiveKitServer(Uri http, Uri webSocket, ApiKey key) => (HttpUrl, WebSocketUrl, Key) = (http, webSocket, key);

    /// <summary>For the server API; ends in a slash.</summary>
    public Uri HttpUrl { get; }

    /// <summary>For clients and workers; ends in a slash.</summary>
    public Uri WebSocketUrl { get; }

    public ApiKey Key { get; }

    /// <exception cref="ArgumentException">The address is not an absolute ws, wss, http or https URL.</exception>
    public static LiveKitServer Create(string url, ApiKey key)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var parsed) || parsed.Scheme is not ("ws" or "wss" or "http" or "https"))
        {
            throw new ArgumentException("LiveKit's address must be a ws, wss, http or https URL, such as ws://127.0.0.1:7880.", nameof(url));
        }

        var secure = parsed.Scheme is "wss" or "https";
        return new LiveKitServer(WithScheme(parsed, secure ? "https" : "http"), WithScheme(parsed, secure ? "wss" : "ws"), key);
    }

    private static Uri WithScheme(Uri url, string scheme) =>
        new UriBuilder(scheme, url.Host, url.Port, url.AbsolutePath.TrimEnd('/') + "/").Uri;
}
