using System.Runtime.InteropServices;
using System.Text;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>One call of a <see cref="TestPhone"/>: what is spoken into it, and all that was heard.</summary>
public sealed class TestPhoneCall : IAsyncDisposable
{
    // An hour at 16 kHz: who forgets a call must not fill the memory.
    private const int MostSamples = 16_000 * 3_600;
    private const int AudibleLevel = 400;

    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TimeProvider _clock;
    private readonly Lock _lock = new();        // guards what was heard; held for copying only
    private readonly List<short> _heard = [];
    private readonly StringBuilder _pressed = new();
    private SipCall? _call;
    private long _answeredAt;
    private long _firstSoundAt;

    internal TestPhoneCall(TimeProvider clock)
    {
        _clock = clock;
        Ear = new Observer(this);
    }

    /// <summary>The calling number.</summary>
    public string From { get; private set; } = "";

    /// <summary>The called number.</summary>
    public string To { get; private set; } = "";

    public string Codec => Media.Codec;

    /// <summary>Completes when the other side has hung up, or this one.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Samples a second of <see cref="Heard"/>.</summary>
    public int Rate { get; private set; } = 16_000;

    /// <summary>From the answer to the first sound that could be heard; null while there was none.</summary>
    public TimeSpan? FirstSoundAfter => Interlocked.Read(ref _firstSoundAt) is not 0 and var at ? _clock.GetElapsedTime(_answeredAt, at) : null;

    /// <summary>Everything heard so far, silence included: 16-bit mono.</summary>
    public short[] Heard => HeardSince(0);

    /// <summary>What was heard after the first so many samples.</summary>
    public short[] HeardSince(int samples)
    {
        lock (_lock)
        {
            return [.. _heard[Math.Min(samples, _heard.Count)..]];
        }
    }

    /// <summary>Keys the other side pressed.</summary>
    public string Pressed
    {
        get
        {
            lock (_lock)
            {
                return _pressed.ToString();
            }
        }
    }

    internal PhoneSession Media { get; set; } = null!;

    internal Observer Ear { get; }

    /// <summary>Says something; returns when it has been sent.</summary>
    /// <param name="pcm">Mono.</param>
    /// <param name="rate">8,000, 16,000, 24,000 or 48,000 Hz.</param>
    /// <param name="ct">Stops waiting.</param>
    public async Task SpeakAsync(ReadOnlyMemory<short> pcm, int rate, CancellationToken ct)
    {
        if (Media.Write(pcm.Span, rate) < pcm.Length)
        {
            throw new InvalidOperationException("More is waiting to be said than a phone keeps.");
        }

        while (Media.Queued > TimeSpan.Zero)
        {
            await Task.Delay(Media.Queued, _clock, ct);
        }
    }

    public Task PressAsync(string digits, CancellationToken ct) => Media.SendDtmfAsync(digits, ct);

    public async Task HangUpAsync()
    {
        if (_call is not null)
        {
            await _call.HangUpAsync();
        }

        _ended.TrySetResult();
    }

    /// <summary>Puts the other side on hold, or takes it back (re-INVITE).</summary>
    public async Task HoldAsync(bool hold, CancellationToken ct)
    {
        var outcome = await (_call ?? throw new InvalidOperationException("There is no call.")).ReInviteAsync(Media.CreateReOffer(hold), ct);
        Media.AcceptAnswer(outcome.Sdp ?? throw new TestPhoneException(outcome.Status, outcome.Reason));
    }

    public async ValueTask DisposeAsync()
    {
        await HangUpAsync();
        Media.Dispose();
    }

    internal void Begin(SipCall call, string from, string to)
    {
        (_call, From, To, _answeredAt) = (call, from, to, _clock.GetTimestamp());
        Media.Listen(Ear);
    }

    /// <summary>What the call hears of its signalling and audio.</summary>
    internal sealed class Observer(TestPhoneCall call) : ICallObserver, IPhoneObserver, IPcmSink
    {
        public void OnProgress(int status, string? sdp)
        {
        }

        public string? OnReInvite(string? offer)
        {
            try
            {
                return offer is null ? call.Media.CreateOffer() : call.Media.CreateAnswer(offer);
            }
            catch (MediaRefusedException)
            {
                return null;
            }
        }

        public void OnAnswer(string sdp) => call.Media.AcceptAnswer(sdp);

        public void OnHangUp(HangUp reason) => call._ended.TrySetResult();

        public void OnInfo(string contentType, string body)
        {
        }

        public void OnDtmf(char digit, int durationMs)
        {
            lock (call._lock)
            {
                call._pressed.Append(digit);
            }
        }

        public void OnMediaTimeout()
        {
        }

        public void OnFirstAudio()
        {
        }

        public void OnPcm(ReadOnlySpan<short> pcm, int rate)
        {
            if (call._firstSoundAt == 0 && pcm.ContainsAnyExceptInRange<short>(-AudibleLevel, AudibleLevel))
            {
                Interlocked.Exchange(ref call._firstSoundAt, call._clock.GetTimestamp());
            }

            lock (call._lock)
            {
                call.Rate = rate;
                if (call._heard.Count < MostSamples)
                {
                    CollectionsMarshal.SetCount(call._heard, call._heard.Count + pcm.Length);
                    pcm.CopyTo(CollectionsMarshal.AsSpan(call._heard)[^pcm.Length..]);
                }
            }
        }
    }
}
