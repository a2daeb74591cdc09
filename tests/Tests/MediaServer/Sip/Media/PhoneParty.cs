using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.Tests.MediaServer.Sip.Media;

/// <summary>One end of a call: a session whose sound and events are kept.</summary>
internal sealed class PhoneParty : IPhoneObserver, IPcmSink, IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<short> _heard = [];
    private int _rate;

    public PhoneParty(PhoneMedia media, PhoneSessionOptions? options = null)
    {
        Session = media.Open(options ?? new PhoneSessionOptions(), this);
        Session.Listen(this);
    }

    public PhoneSession Session { get; }

    public ConcurrentQueue<DtmfHeard> Keys { get; } = [];

    public string Digits => string.Concat(Keys.Select(k => k.Digit));

    public int Timeouts { get; private set; }

    public int Beginnings { get; private set; }

    public int Rate => _rate;

    public static PhoneMedia Start(Func<PhoneMediaOptions, PhoneMediaOptions>? change = null)
    {
        var options = new PhoneMediaOptions { Ports = (0, 0) };
        var media = new PhoneMedia(change?.Invoke(options) ?? options, TimeProvider.System, NullLoggerFactory.Instance);
        media.Start();
        return media;
    }

    public static PhoneSessionOptions With(params PhoneCodec[] codecs) => new() { Codecs = codecs };

    /// <summary>Offers to the other and takes its answer.</summary>
    public void Call(PhoneParty other) => Session.AcceptAnswer(other.Session.CreateAnswer(Session.CreateOffer()));

    public void Say(double hertz, double seconds, int amplitude = 8_000)
    {
        var rate = Math.Max(8_000, _rate);
        Session.Write(Sound.Tone(hertz, rate, (int)(rate * seconds), amplitude: amplitude), rate);
    }

    public void Forget()
    {
        lock (_gate)
        {
            _heard.Clear();
        }
    }

    public short[] Heard()
    {
        lock (_gate)
        {
            return [.. _heard];
        }
    }

    /// <summary>Waits until so much was heard from now on, and returns it.</summary>
    public async Task<short[]> HearAsync(double seconds)
    {
        Forget();
        Assert.That(await EventuallyAsync(() => Heard().Length >= seconds * _rate && _rate > 0, 5 + seconds), Is.True, "the pacing thread stands");
        return Heard();
    }

    public static async Task<bool> EventuallyAsync(Func<bool> isSo, double seconds = 5)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!isSo())
        {
            if (TimeProvider.System.GetElapsedTime(started).TotalSeconds > seconds)
            {
                return false;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        }

        return true;
    }

    void IPhoneObserver.OnDtmf(char digit, int durationMs) => Keys.Enqueue(new DtmfHeard(digit, durationMs));

    void IPhoneObserver.OnMediaTimeout() => Timeouts++;

    void IPhoneObserver.OnFirstAudio() => Beginnings++;

    void IPcmSink.OnPcm(ReadOnlySpan<short> pcm, int rate)
    {
        lock (_gate)
        {
            if (rate != _rate)
            {
                _rate = rate;
                _heard.Clear();
            }

            _heard.AddRange(pcm);
        }
    }

    public void Dispose() => Session.Dispose();
}

internal sealed record DtmfHeard(char Digit, int DurationMs);

/// <summary>A room as a phone knows it: what the phone says comes in as Opus.</summary>
internal sealed class OpusRecorder : IOpusOut
{
    private readonly ConcurrentQueue<byte[]> _frames = new();

    public int Skipped { get; private set; }

    public byte Loudest { get; private set; } = 127;

    public int Frames => _frames.Count;

    /// <summary>Passes on to the tracks of other phones, as a room does.</summary>
    public IAudioSink? Sink { get; set; }

    private ushort _sequence;
    private uint _timestamp;

    public void Send(ReadOnlySpan<byte> opus, uint samples, byte level)
    {
        Loudest = Math.Min(Loudest, level);
        _frames.Enqueue(opus.ToArray());
        Sink?.OnFrame(_sequence++, _timestamp, opus);
        _timestamp += samples;
    }

    public void Skip(uint samples)
    {
        Skipped++;
        _timestamp += samples;
    }

    public short[] Decode(int rate)
    {
        using var decoder = new VoicePlatform.MediaServer.Sip.Media.Codecs.OpusDecoder(rate);
        var (all, pcm) = (new List<short>(), new short[rate * 120 / 1_000]);
        foreach (var frame in _frames)
        {
            all.AddRange(pcm.AsSpan(0, decoder.Decode(frame, pcm)));
        }

        return [.. all];
    }
}
