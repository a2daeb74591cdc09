using System.Net;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>What a test phone does with a call.</summary>
public enum TestPhoneManner
{
    Answer,

    /// <summary>486 at once.</summary>
    Busy,

    /// <summary>603 after ringing.</summary>
    Decline,

    /// <summary>Rings for ever.</summary>
    Ignore,
}

/// <summary>Settings of a <see cref="TestPhone"/>.</summary>
public sealed record TestPhoneOptions
{
    public IPAddress Bind { get; init; } = IPAddress.Loopback;

    /// <summary>SIP port, UDP and TCP; 0: any free one.</summary>
    public int Port { get; init; }

    public TestPhoneManner Manner { get; init; } = TestPhoneManner.Answer;

    /// <summary>The same by the number that is called; where it is given, <see cref="Manner"/> means nothing.</summary>
    public Func<string, TestPhoneManner>? MannerOf { get; init; }

    /// <summary>How long it rings before it is answered or declined.</summary>
    public TimeSpan Rings { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>Codecs it has, best first: opus, G722, PCMU, PCMA. G.722 alone unless given: recognisers follow it.</summary>
    public IReadOnlyList<string> Codecs { get; init; } = ["G722"];
}

/// <summary>
/// A telephone of this process, over real SIP and RTP: it is called or calls, speaks what it is given, and keeps what it hears. For
/// demonstrations, tests and test-mode keys.
/// </summary>
public sealed class TestPhone : IAsyncDisposable
{
    private const int MostCalls = 64;

    private readonly Channel<TestPhoneCall> _calls = Channel.CreateBounded<TestPhoneCall>(MostCalls);
    private readonly TestPhoneOptions _options;
    private readonly TimeProvider _clock;
    private readonly UserAgent _agent;
    private readonly PhoneMedia _media;

    public TestPhone(TestPhoneOptions options, TimeProvider clock, ILoggerFactory logs)
    {
        (_options, _clock) = (options, clock);
        _agent = new UserAgent(new UserAgentOptions { Bind = options.Bind, Port = options.Port, Product = "VoicePlatform test phone" }, new Incoming(this), clock, logs);
        _media = new PhoneMedia(new PhoneMediaOptions { Bind = options.Bind, Ports = (0, 0) }, clock, logs);
    }

    /// <summary>The SIP port, once started.</summary>
    public int Port => _agent.Port;

    public void Start()
    {
        _media.Start();
        _agent.Start();
    }

    /// <summary>The next call that this phone has answered.</summary>
    public async Task<TestPhoneCall> NextCallAsync(CancellationToken ct) => await _calls.Reader.ReadAsync(ct);

    /// <summary>Calls somebody.</summary>
    /// <param name="uri">As in sip:+15550100@127.0.0.1:5060.</param>
    /// <param name="from">The number it calls from.</param>
    /// <param name="ct">Gives up.</param>
    /// <exception cref="TestPhoneException">It was not answered; the status says why.</exception>
    public async Task<TestPhoneCall> CallAsync(string uri, string from, CancellationToken ct)
    {
        var call = new TestPhoneCall(_clock);
        call.Media = _media.Open(Session, call.Ear);
        var outgoing = _agent.Invite(new OutgoingInvite { Target = SipUri.Parse(uri), FromUser = from, Offer = call.Media.CreateOffer() }, call.Ear);
        await using var gaveUp = ct.Register(outgoing.Cancel);
        switch (await outgoing.Outcome)
        {
            case InviteOutcome.Answered answered:
                call.Media.AcceptAnswer(answered.Sdp);
                call.Begin(outgoing, from, SipUri.Parse(uri).User);
                return call;
            case InviteOutcome.Refused refused:
                call.Media.Dispose();
                throw new TestPhoneException(refused.Status, refused.Reason);
            case var other:
                call.Media.Dispose();
                ct.ThrowIfCancellationRequested();
                throw new TestPhoneException(0, other.ToString() ?? "");
        }
    }

    public async ValueTask DisposeAsync()
    {
        _calls.Writer.TryComplete();
        await _agent.DisposeAsync();
        await _media.DisposeAsync();
    }

    private PhoneSessionOptions Session => new() { Codecs = [.. _options.Codecs.Select(name => Enum.Parse<PhoneCodec>(name, ignoreCase: true))] };

    private async Task OnInviteAsync(IncomingCall incoming, CancellationToken ct)
    {
        var manner = _options.MannerOf?.Invoke(incoming.RequestUri.User) ?? _options.Manner;
        if (manner is TestPhoneManner.Busy)
        {
            incoming.Reject(486);
            return;
        }

        incoming.Ring();
        await Task.Delay(manner is TestPhoneManner.Ignore ? Timeout.InfiniteTimeSpan : _options.Rings, _clock, ct);
        if (manner is TestPhoneManner.Decline)
        {
            incoming.Reject(603);
            return;
        }

        var call = new TestPhoneCall(_clock);
        call.Media = _media.Open(Session, call.Ear);
        try
        {
            incoming.Observer = call.Ear;
            call.Begin(incoming, incoming.From.Uri.User, incoming.RequestUri.User);
            await incoming.AnswerAsync(call.Media.CreateAnswer(incoming.Offer ?? throw new MediaRefusedException("An offer is needed.")));
            await _calls.Writer.WriteAsync(call, ct);
        }
        catch (MediaRefusedException)
        {
            call.Media.Dispose();
            incoming.Reject(488);
        }
    }

    private sealed class Incoming(TestPhone phone) : IIncomingCalls
    {
        public Task OnInviteAsync(IncomingCall call, CancellationToken ct) => phone.OnInviteAsync(call, ct);
    }
}

/// <summary>A call was not answered.</summary>
/// <param name="status">The SIP status; 0 when there was none.</param>
public sealed class TestPhoneException(int status, string reason) : Exception($"{status} {reason}")
{
    public int Status => status;
}
