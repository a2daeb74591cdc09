using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Probe;

/// <summary>One request and its final answer over UDP, TCP or TLS; nothing of a user agent.</summary>
internal abstract class SipWire : IAsyncDisposable
{
    private const int MaxMessage = 64 * 1024;

    public abstract IPEndPoint Local { get; }

    public abstract string Via { get; }

    /// <summary>Null when there is none in time. Provisional answers, and those to other requests, are passed over.</summary>
    public abstract Task<SipAnswer?> AskAsync(string request, string callId, CancellationToken ct);

    public abstract ValueTask DisposeAsync();

    /// <exception cref="SocketException">Nobody takes the connection.</exception>
    /// <exception cref="System.Security.Authentication.AuthenticationException">The TLS handshake failed.</exception>
    public static async Task<SipWire> OpenAsync(IPEndPoint target, Transport transport, CancellationToken ct)
    {
        if (transport is Transport.Udp)
        {
            return new Datagrams(target);
        }

        var socket = new Socket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(target, ct);
            return new Connection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Puts TLS on a connection and checks the certificate against the name.</summary>
    public virtual Task SecureAsync(string host, CancellationToken ct) => Task.CompletedTask;

    private static bool IsFinal(SipAnswer? answer, string callId) => answer is { Status: >= 200 } && answer.Header("Call-ID", "i") == callId;

    private sealed class Datagrams : SipWire
    {
        // RFC 3261's timer E: a request over UDP is sent again until it is answered.
        private static readonly TimeSpan[] Resends = [TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2)];
        private readonly Socket _socket;

        public Datagrams(IPEndPoint target)
        {
            _socket = new Socket(target.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            _socket.Connect(target);
        }

        public override IPEndPoint Local => (IPEndPoint)_socket.LocalEndPoint!;

        public override string Via => "UDP";

        public override async Task<SipAnswer?> AskAsync(string request, string callId, CancellationToken ct)
        {
            var bytes = Encoding.UTF8.GetBytes(request);
            var buffer = new byte[MaxMessage];
            foreach (var wait in Resends)
            {
                await _socket.SendAsync(bytes, ct);
                using var late = new CancellationTokenSource(wait, TimeProvider.System);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
                try
                {
                    while (true)
                    {
                        var answer = SipAnswer.Parse(buffer.AsSpan(0, await _socket.ReceiveAsync(buffer, either.Token)));
                        if (IsFinal(answer, callId))
                        {
                            return answer;
                        }
                    }
                }
                catch (OperationCanceledException) when (!ct.IsCancellationRequested)
                {
                    // Not yet: send it again.
                }
            }

            return null;
        }

        public override ValueTask DisposeAsync()
        {
            _socket.Dispose();
            return ValueTask.CompletedTask;
        }
    }

    private sealed class Connection(Socket socket) : SipWire
    {
        private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);
        private Stream _stream = new NetworkStream(socket, ownsSocket: true);
        private bool _isSecure;

        public override IPEndPoint Local => (IPEndPoint)socket.LocalEndPoint!;

        public override string Via => _isSecure ? "TLS" : "TCP";

        public override async Task SecureAsync(string host, CancellationToken ct)
        {
            var tls = new SslStream(_stream, leaveInnerStreamOpen: false);
            _stream = tls;
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = host }, ct);
            _isSecure = true;
        }

        public override async Task<SipAnswer?> AskAsync(string request, string callId, CancellationToken ct)
        {
            using var late = new CancellationTokenSource(Patience, TimeProvider.System);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
            try
            {
                await _stream.WriteAsync(Encoding.UTF8.GetBytes(request), either.Token);
                var buffer = new byte[MaxMessage];
                var filled = 0;
                while (filled < buffer.Length)
                {
                    var read = await _stream.ReadAsync(buffer.AsMemory(filled), either.Token);
                    if (read == 0)
                    {
                        return null;
                    }

                    filled += read;
                    for (var length = SipAnswer.LengthOf(buffer.AsSpan(0, filled)); length > 0; length = SipAnswer.LengthOf(buffer.AsSpan(0, filled)))
                    {
                        var answer = SipAnswer.Parse(buffer.AsSpan(0, length));
                        if (IsFinal(answer, callId))
                        {
                            return answer;
                        }

                        buffer.AsSpan(length, filled - length).CopyTo(buffer);
                        filled -= length;
                    }
                }
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                // Nobody answered.
            }
            catch (IOException)
            {
                // Hung up on.
            }

            return null;
        }

        public override ValueTask DisposeAsync() => _stream.DisposeAsync();
    }
}
