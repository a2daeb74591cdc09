using System.Buffers;
using System.Net.WebSockets;

namespace VoicePlatform.MediaServer.Signal;

/// <summary>Whole binary messages from a WebSocket, bounded in size, in pooled memory.</summary>
internal static class SocketFrames
{
    private const int FirstBuffer = 4096;

    private static readonly TimeSpan LingerTime = TimeSpan.FromSeconds(1);

    /// <summary>The next message, or null when the other side closed.</summary>
    /// <exception cref="RefusedException">The message is text or too long; close with its status.</exception>
    public static async Task<Frame?> ReadAsync(WebSocket socket, int maxBytes, CancellationToken stopping)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        var length = 0;
        try
        {
            while (true)
            {
                var part = await socket.ReceiveAsync(buffer.AsMemory(length), stopping);
                if (part.MessageType is WebSocketMessageType.Close)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    return null;
                }

                if (part.MessageType is WebSocketMessageType.Text)
                {
                    throw new RefusedException(WebSocketCloseStatus.InvalidMessageType, "only binary messages are understood");
                }

                length += part.Count;
                if (length > maxBytes)
                {
                    throw new RefusedException(WebSocketCloseStatus.MessageTooBig, "message is too long");
                }

                if (part.EndOfMessage)
                {
                    return new Frame(buffer, length);
                }

                if (length == buffer.Length)
                {
                    var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
                    buffer.AsSpan(0, length).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                }
            }
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(buffer);
            throw;
        }
    }

    /// <summary>
    /// After our close frame: waits a moment for the other side's, so that it is read before the connection goes. Never throws.
    /// </summary>
    public static async Task LingerAsync(WebSocket socket, TimeProvider clock)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        try
        {
            using var patience = new CancellationTokenSource(LingerTime, clock);
            while (socket.State is WebSocketState.CloseSent)
            {
                await socket.ReceiveAsync(buffer.AsMemory(), patience.Token);
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            // It did not answer.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>A message; dispose it to give its memory back.</summary>
    public sealed class Frame(byte[] buffer, int length) : IDisposable
    {
        private byte[]? _buffer = buffer;

        public int Length => length;

        public ReadOnlyMemory<byte> Memory => _buffer;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _buffer, null) is { } rented)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    /// <summary>A message this server does not take.</summary>
    public sealed class RefusedException(WebSocketCloseStatus status, string message) : Exception(message)
    {
        public WebSocketCloseStatus Status => status;
    }
}
