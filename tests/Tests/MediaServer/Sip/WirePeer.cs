using System.Net;
using System.Net.Sockets;
using System.Text;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.Tests.MediaServer.Sip;

/// <summary>A bare UDP socket that says what a test wants said, however wrong, and shows what came back.</summary>
internal sealed class WirePeer : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly byte[] _buffer = new byte[65_536];
    private EndPoint _last = new IPEndPoint(IPAddress.Loopback, 0);

    public WirePeer() => _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));

    public int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;

    public SipUri Uri => new() { User = "bob", Host = "127.0.0.1", Port = Port };

    public string Contact => $"<sip:bob@127.0.0.1:{Port}>";

    public void Send(int port, string text) => _socket.SendTo(Encoding.UTF8.GetBytes(text), new IPEndPoint(IPAddress.Loopback, port));

    public void Send(int port, ReadOnlySpan<byte> bytes) => _socket.SendTo(bytes, new IPEndPoint(IPAddress.Loopback, port));

    /// <summary>The next message.</summary>
    public async Task<SipMessage> ReceiveAsync()
    {
        using var patience = new CancellationTokenSource(Patience, TimeProvider.System);
        try
        {
            var received = await _socket.ReceiveFromAsync(_buffer, _last, patience.Token);
            _last = received.RemoteEndPoint;
            var parsed = SipParser.Parse(_buffer.AsSpan(0, received.ReceivedBytes));
            Assert.That(parsed.Fault, Is.Null);
            return parsed.Message!;
        }
        catch (OperationCanceledException)
        {
            Assert.Fail("Nothing came.");
            throw;
        }
    }

    /// <summary>The next request of a method; others, such as copies of an earlier one, are passed over.</summary>
    public async Task<SipRequest> RequestAsync(string method)
    {
        while (true)
        {
            if (await ReceiveAsync() is SipRequest request && request.Method == method)
            {
                return request;
            }
        }
    }

    /// <summary>The next response that is not 100.</summary>
    /// <param name="branch">Of the request that it answers; what else comes, such as copies of an earlier answer, is passed over. Null: of any.</param>
    public async Task<SipResponse> ResponseAsync(string? branch = null)
    {
        while (true)
        {
            if (await ReceiveAsync() is SipResponse { Status: > 100 } response && (branch is null || response.TopVia!.Branch == branch))
            {
                return response;
            }
        }
    }

    /// <summary>How many messages come within a time.</summary>
    public async Task<List<SipMessage>> CollectAsync(TimeSpan time)
    {
        var messages = new List<SipMessage>();
        using var end = new CancellationTokenSource(time, TimeProvider.System);
        try
        {
            while (true)
            {
                var received = await _socket.ReceiveFromAsync(_buffer, _last, end.Token);
                messages.Add(SipParser.Parse(_buffer.AsSpan(0, received.ReceivedBytes)).Message!);
            }
        }
        catch (OperationCanceledException)
        {
            return messages;
        }
    }

    /// <summary>Passes over what is still on its way; whether it ends with nothing coming for so long.</summary>
    /// <param name="within">Longer than what is on its way may take, and shorter than what would end by itself.</param>
    public async Task<bool> FallsSilentAsync(TimeSpan silence, TimeSpan within)
    {
        var started = TimeProvider.System.GetTimestamp();
        while ((await CollectAsync(silence)).Count > 0)
        {
            if (TimeProvider.System.GetElapsedTime(started) > within)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Answers to where the last message came from.</summary>
    public void Reply(SipRequest request, int status, string? tag = "peer", string sdp = "", params ReadOnlySpan<(string Name, string Value)> headers)
    {
        var response = Replies.To(request, status, null, tag, "peer", sdp);
        foreach (var (name, value) in headers)
        {
            response.Headers.Add(name, value);
        }

        if (status is > 100 and < 300 && request.Method is "INVITE" or "UPDATE")
        {
            response.Headers.Add("Contact", Contact);
        }

        _socket.SendTo(SipWriter.Write(response), _last);
    }

    /// <summary>A request as a well-behaved peer writes it.</summary>
    public string Request(string method, int toPort, string branch = "z9hG4bKa", string callId = "call-1", string fromTag = "f1", string? toTag = null, int cseq = 1, string body = "", string headers = "")
    {
        return $"{method} sip:alice@127.0.0.1:{toPort} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{Port};branch={branch};rport\r\nMax-Forwards: 70\r\n"
            + $"From: <sip:bob@127.0.0.1>;tag={fromTag}\r\nTo: <sip:alice@127.0.0.1>{(toTag is null ? "" : ";tag=" + toTag)}\r\nCall-ID: {callId}\r\n"
            + $"CSeq: {cseq} {method}\r\nContact: {Contact}\r\n{headers}{(body.Length > 0 ? "Content-Type: application/sdp\r\n" : "")}Content-Length: {body.Length}\r\n\r\n{body}";
    }

    /// <summary>A request of this peer in a call that the agent under test placed.</summary>
    public string RequestIn(SipRequest invite, string method, int toPort, int cseq, string branch, string tag = "peer", string body = "", string headers = "", string bodyType = "application/sdp") =>
        $"{method} {invite.Contact!.Uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{Port};branch={branch};rport\r\nMax-Forwards: 70\r\n"
        + $"From: {invite.Headers["To"]};tag={tag}\r\nTo: {invite.Headers["From"]}\r\nCall-ID: {invite.CallId}\r\nCSeq: {cseq} {method}\r\nContact: {Contact}\r\n"
        + $"{headers}{(body.Length > 0 ? $"Content-Type: {bodyType}\r\n" : "")}Content-Length: {body.Length}\r\n\r\n{body}";

    public void Dispose() => _socket.Dispose();
}
