using System.Collections.Concurrent;
using System.IO.Compression;
using System.Net.WebSockets;
using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.Tests.MediaServer;

/// <summary>A client that speaks the signalling protocol and has no media.</summary>
internal sealed class SignalClient : IAsyncDisposable
{
    private readonly ClientWebSocket _socket;
    private readonly ConcurrentQueue<SignalResponse> _received = new();
    private readonly Task _reading;
    private SignalResponse? _current;
    private volatile bool _isDeaf;

    private SignalClient(ClientWebSocket socket)
    {
        _socket = socket;
        _reading = ReadAsync();
    }

    public WebSocketCloseStatus? CloseStatus => _socket.CloseStatus;

    public bool IsClosed => _reading.IsCompleted;

    public IReadOnlyCollection<SignalResponse> Received => _received;

    public static string Encode(JoinRequest request, bool gzip = true)
    {
        var bytes = request.ToByteArray();
        if (gzip)
        {
            using var compressed = new MemoryStream();
            using (var stream = new GZipStream(compressed, CompressionLevel.Fastest))
            {
                stream.Write(bytes);
            }

            bytes = compressed.ToArray();
        }

        var wrapped = new WrappedJoinRequest
        {
            Compression = gzip ? WrappedJoinRequest.Types.Compression.Gzip : WrappedJoinRequest.Types.Compression.None,
            JoinRequest = ByteString.CopyFrom(bytes),
        };
        return Uri.EscapeDataString(Convert.ToBase64String(wrapped.ToByteArray()));
    }

    /// <exception cref="WebSocketException">The server refused; the status is in the socket's HttpStatusCode.</exception>
    public static async Task<SignalClient> ConnectAsync(int port, string token, JoinRequest request)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {token}");
        socket.Options.CollectHttpResponseDetails = true;
        try
        {
            await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{port}/rtc/v1?join_request={Encode(request)}"), CancellationToken.None);
            return new SignalClient(socket);
        }
        catch (WebSocketException e)
        {
            var status = (int)socket.HttpStatusCode;
            socket.Dispose();
            throw new RefusedException(status, e);
        }
    }

    public Task SendAsync(SignalRequest request) => SendAsync(request.ToByteArray());

    public Task SendAsync(byte[] frame, WebSocketMessageType type = WebSocketMessageType.Binary) =>
        _socket.SendAsync(frame, type, endOfMessage: true, CancellationToken.None);

    /// <summary>The next message of this kind after the last one asked for; those between are skipped.</summary>
    public async Task<SignalResponse> NextAsync(SignalResponse.MessageOneofCase kind, Func<SignalResponse, bool>? such = null)
    {
        SignalResponse? found = null;
        await TestServer.Until(
            () =>
            {
                while (_received.TryDequeue(out _current))
                {
                    if (_current.MessageCase == kind && such?.Invoke(_current) is not false)
                    {
                        found = _current;
                        return true;
                    }
                }

                return false;
            },
            $"{kind}");
        return found!;
    }

    public async Task<ParticipantInfo> UpdateOfAsync(string identity, Func<ParticipantInfo, bool>? such = null)
    {
        bool Matches(ParticipantInfo p) => p.Identity == identity && such?.Invoke(p) is not false;
        var response = await NextAsync(SignalResponse.MessageOneofCase.Update, r => r.Update.Participants.Any(Matches));
        return response.Update.Participants.Last(Matches);
    }

    public Task ClosedAsync() => TestServer.Until(() => _reading.IsCompleted, "the socket closes");

    /// <summary>Leaves what the server sends from now on in the network's buffers.</summary>
    public void StopReading() => _isDeaf = true;

    /// <summary>Cuts the connection without a word.</summary>
    public void Cut() => _socket.Abort();

    public async ValueTask DisposeAsync()
    {
        _socket.Abort();
        await _reading;
        _socket.Dispose();
    }

    private async Task ReadAsync()
    {
        var buffer = new byte[1024 * 1024];
        try
        {
            while (!_isDeaf)
            {
                var length = 0;
                ValueWebSocketReceiveResult part;
                do
                {
                    part = await _socket.ReceiveAsync(buffer.AsMemory(length), CancellationToken.None);
                    length += part.Count;
                }
                while (!part.EndOfMessage);

                if (part.MessageType is WebSocketMessageType.Close)
                {
                    await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
                    return;
                }

                _received.Enqueue(SignalResponse.Parser.ParseFrom(buffer.AsSpan(0, length)));
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The test cut it, or the server did.
        }
    }
}

/// <summary>The server did not open the socket.</summary>
internal sealed class RefusedException(int status, Exception inner) : Exception($"refused with {status}", inner)
{
    public int Status => status;
}
