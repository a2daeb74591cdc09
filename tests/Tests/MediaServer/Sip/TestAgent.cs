using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.Tests.MediaServer.Sip;

/// <summary>A user agent on free ports of the loopback, with the protocol's waits a twenty-fifth of their length.</summary>
internal sealed class TestAgent : IAsyncDisposable, IIncomingCalls
{
    public const string Offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    public const string Answer = "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

    public static readonly UserAgentOptions Quick = new()
    {
        Port = 0,
        T1 = TimeSpan.FromMilliseconds(20),
        T2 = TimeSpan.FromMilliseconds(80),
        T4 = TimeSpan.FromMilliseconds(100),
        StopTimeout = TimeSpan.FromMilliseconds(300),
        RequestsPerSecondPerSource = 1_000,
        InvitesPerSecond = 1_000,
    };

    private readonly Func<IncomingCall, CancellationToken, Task> _handler;

    private TestAgent(Func<IncomingCall, CancellationToken, Task> handler, UserAgentOptions options, TimeProvider clock)
    {
        _handler = handler;
        Agent = new UserAgent(options, this, clock, NullLoggerFactory.Instance);
    }

    public UserAgent Agent { get; }

    public ConcurrentQueue<IncomingCall> Calls { get; } = new();

    /// <summary>Every incoming call's observer, when the default handler answered it.</summary>
    public ConcurrentQueue<RecordingObserver> Observers { get; } = new();

    /// <param name="handler">Null: rings and answers.</param>
    /// <param name="options">Null: <see cref="Quick"/>.</param>
    /// <param name="clock">Null: the system's.</param>
    public static TestAgent Start(Func<IncomingCall, CancellationToken, Task>? handler = null, UserAgentOptions? options = null, TimeProvider? clock = null)
    {
        TestAgent? agent = null;
        agent = new TestAgent(handler ?? ((call, _) => agent!.AnswerAsync(call)), options ?? Quick, clock ?? TimeProvider.System);
        agent.Agent.Start();
        return agent;
    }

    public SipUri Uri(string user = "bob", SipTransport transport = SipTransport.Udp) => new()
    {
        User = user,
        Host = "127.0.0.1",
        Port = transport == SipTransport.Tls ? Agent.TlsPort : Agent.Port,
        Parameters = transport == SipTransport.Udp ? "" : $"transport={transport.ToString().ToLowerInvariant()}",
    };

    public OutgoingCall Call(SipUri target, RecordingObserver? observer = null, Func<OutgoingInvite, OutgoingInvite>? with = null)
    {
        var invite = new OutgoingInvite { Target = target, FromUser = "+15550100", DisplayName = "Alice \"A\"", Offer = Offer };
        return Agent.Invite(with is null ? invite : with(invite), observer ?? new RecordingObserver());
    }

    public async Task OnInviteAsync(IncomingCall call, CancellationToken ct)
    {
        Calls.Enqueue(call);
        await _handler(call, ct);
    }

    public async Task AnswerAsync(IncomingCall call)
    {
        var observer = new RecordingObserver();
        call.Observer = observer;
        Observers.Enqueue(observer);
        call.Ring();
        await call.AnswerAsync(Answer);
    }

    public ValueTask DisposeAsync() => Agent.DisposeAsync();

    public static async Task EventuallyAsync(Func<bool> isSo, string what)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20), TimeProvider.System);
        while (!isSo())
        {
            if (patience.IsCancellationRequested)
            {
                Assert.Fail($"It never came about: {what}.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
        }
    }

    public static IPEndPoint Loopback(int port) => new(IPAddress.Loopback, port);
}

internal sealed class RecordingObserver : ICallObserver
{
    public ConcurrentQueue<(int Status, string? Sdp)> Progress { get; } = new();

    public ConcurrentQueue<string?> Offers { get; } = new();

    public ConcurrentQueue<string> Answers { get; } = new();

    public ConcurrentQueue<HangUp> HangUps { get; } = new();

    public ConcurrentQueue<(string Type, string Body)> Infos { get; } = new();

    public Func<string?, string?> Reply { get; set; } = _ => TestAgent.Answer;

    public void OnProgress(int status, string? sdp) => Progress.Enqueue((status, sdp));

    public string? OnReInvite(string? offer)
    {
        Offers.Enqueue(offer);
        return Reply(offer);
    }

    public void OnAnswer(string sdp) => Answers.Enqueue(sdp);

    public void OnHangUp(HangUp reason) => HangUps.Enqueue(reason);

    public void OnInfo(string contentType, string body) => Infos.Enqueue((contentType, body));
}
