using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace VoicePlatform.IntegrationTests.Telephony;

/// <summary>What a <see cref="FaultyPeer"/> does with a call.</summary>
internal enum FaultyManner
{
    /// <summary>Every INVITE gets the status.</summary>
    Refuse,

    /// <summary>Packets arrive, and nothing comes back.</summary>
    Swallow,

    /// <summary>Answers, and then sends no audio.</summary>
    Mute,

    /// <summary>Answers, speaks for a second, and is heard of no more: no BYE, no audio, no response.</summary>
    Vanish,
}

/// <summary>The other end of a trunk, on one raw UDP socket, with no SIP code of ours in it. It notes what it was asked.</summary>
internal sealed class FaultyPeer : IAsyncDisposable
{
    private const int Samples = 160;        // 20 ms of PCMU
    private static readonly TimeSpan Speaks = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Frame = TimeSpan.FromMilliseconds(20);

    private readonly FaultyManner _manner;
    private readonly int _status;
    private readonly Socket _sip = Open();
    private readonly Socket _rtp = Open();
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, string> _requests = new(StringComparer.Ordinal);      // "METHOD Call-ID CSeq": the first of its retransmissions
    private readonly Task _running;
    private Task _speaking = Task.CompletedTask;
    private volatile bool _isGone;

    public FaultyPeer(FaultyManner manner, int status = 0)
    {
        (_manner, _status) = (manner, status);
        _running = RunAsync();
    }

    public int Port => ((IPEndPoint)_sip.LocalEndPoint!).Port;

    /// <summary>Calls that reached it, however often each was asked for.</summary>
    public int Calls => _requests.Keys.Where(r => r.StartsWith("INVITE ", StringComparison.Ordinal)).Select(r => r.Split(' ')[1]).Distinct(StringComparer.Ordinal).Count();

    /// <summary>When the first call's first packet came; null: none has.</summary>
    public DateTimeOffset? InvitedAt { get; private set; }

    public bool WasHungUp => _requests.Keys.Any(r => r.StartsWith("BYE ", StringComparison.Ordinal));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running, _speaking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _sip.Dispose();
        _rtp.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        var buffer = new byte[65_536];
        while (true)
        {
            var received = await _sip.ReceiveFromAsync(buffer, SocketFlags.None, new IPEndPoint(IPAddress.Loopback, 0), _stop.Token);
            var request = Encoding.UTF8.GetString(buffer, 0, received.ReceivedBytes);
            if (request.IndexOf(' ', StringComparison.Ordinal) is var end and > 0)
            {
                var method = request[..end];
                InvitedAt ??= method == "INVITE" ? TimeProvider.System.GetUtcNow() : null;
                _requests.TryAdd($"{method} {Header(request, "Call-ID")} {Header(request, "CSeq").Split(' ')[0]}", request);
                if (!_isGone && _manner is not FaultyManner.Swallow)
                {
                    await RespondAsync(method, request, received.RemoteEndPoint);
                }
            }
        }
    }

    private async Task RespondAsync(string method, string request, EndPoint from)
    {
        switch (method)
        {
            case "INVITE" when _manner is FaultyManner.Refuse:
                await SendAsync(request, from, _status, _status == 401 ? "WWW-Authenticate: Digest realm=\"test\", nonce=\"abcdef\", algorithm=MD5\r\n" : "", "");
                break;
            case "INVITE":
                var port = ((IPEndPoint)_rtp.LocalEndPoint!).Port;
                var sdp = $"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
                await SendAsync(request, from, 200, $"Contact: <sip:peer@127.0.0.1:{Port}>\r\nContent-Type: application/sdp\r\n", sdp);
                break;
            case "ACK" when _manner is FaultyManner.Vanish && _speaking.IsCompleted:
                var offer = _requests.First(r => r.Key.StartsWith("INVITE ", StringComparison.Ordinal)).Value;
                var audio = offer.Split("\r\n").First(line => line.StartsWith("m=audio ", StringComparison.Ordinal)).Split(' ');
                _speaking = SpeakAsync(new IPEndPoint(IPAddress.Loopback, int.Parse(audio[1], null)));
                break;
            case "ACK":
                break;
            default:
                await SendAsync(request, from, 200, "", "");
                break;
        }
    }

    private async Task SpeakAsync(IPEndPoint to)
    {
        var packet = new byte[12 + Samples];
        (packet[0], packet[11]) = (0x80, 7);
        packet.AsSpan(12).Fill(0xFF);       // silence
        using var timer = new PeriodicTimer(Frame, TimeProvider.System);
        for (var number = 0; number < Speaks / Frame; number++)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)number);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(4), (uint)(number * Samples));
            await _rtp.SendToAsync(packet, SocketFlags.None, to, _stop.Token);
            await timer.WaitForNextTickAsync(_stop.Token);
        }

        _isGone = true;
        _rtp.Close();       // its packets now meet a closed port
    }

    private async Task SendAsync(string request, EndPoint to, int status, string headers, string body)
    {
        var tag = Header(request, "To").Contains("tag=", StringComparison.Ordinal) ? "" : ";tag=peer";
        var vias = string.Concat(request.Split("\r\n").Where(line => line.StartsWith("Via:", StringComparison.OrdinalIgnoreCase)).Select(line => line + "\r\n"));
        var response = $"SIP/2.0 {status} Words\r\n{vias}From: {Header(request, "From")}\r\nTo: {Header(request, "To")}{tag}\r\nCall-ID: {Header(request, "Call-ID")}\r\n"
            + $"CSeq: {Header(request, "CSeq")}\r\n{headers}Content-Length: {body.Length}\r\n\r\n{body}";
        await _sip.SendToAsync(Encoding.UTF8.GetBytes(response), SocketFlags.None, to, _stop.Token);
    }

    private static string Header(string message, string name) =>
        message.Split("\r\n").FirstOrDefault(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))?[(name.Length + 1)..].Trim() ?? "";

    private static Socket Open()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }
}
