using System.Runtime.InteropServices;
using System.Threading.Channels;
using VoicePlatform.Agent.Audio;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Providers.PocketSphinx;

/// <summary>
/// Listens with PocketSphinx, offline. A decoder takes 90 MB and a quarter of a second to make, so there is a pool, as many as
/// cores, each on a thread of its own. A decoder takes a segment from its first sound on and decodes while the caller speaks.
/// </summary>
internal sealed class PocketSphinxSpeech(int decoders, TimeProvider clock) : ISpeechToText, IDisposable
{
    public const string ProviderName = "local";
    public const string ModelName = "pocketsphinx";

    private const int WaitingSegments = 64;

    private readonly Channel<Segment> _segments = Channel.CreateBounded<Segment>(WaitingSegments);
    private readonly Lock _starting = new();
    private Thread[] _threads = [];

    public string Provider => ProviderName;

    public string Model => ModelName;

    public static string? Missing() =>
        !NativeLibrary.TryLoad(PocketSphinxDecoder.Library, out _) ? "PocketSphinx is not installed: apt-get install libpocketsphinx3."
        : !Directory.Exists(PocketSphinxDecoder.ModelFolder) ? "PocketSphinx has no English model: apt-get install pocketsphinx-en-us."
        : null;

    /// <summary>Makes the decoders before the first caller speaks.</summary>
    public void Warm()
    {
        lock (_starting)
        {
            if (_threads.Length > 0)
            {
                return;
            }

            _threads = Enumerable.Range(1, decoders).Select(n => new Thread(Run) { IsBackground = true, Name = $"pocketsphinx {n}" }).ToArray();
            foreach (var thread in _threads)
            {
                thread.Start();
            }
        }
    }

    public IRecogniser Open(Action<Transcription> hear)
    {
        Warm();
        return new Recogniser(this, hear);
    }

    public void Dispose()
    {
        _segments.Writer.TryComplete();
        foreach (var thread in _threads)
        {
            thread.Join();
        }
    }

    private void Run()
    {
        // Made before the first caller speaks: who speaks first does not wait for it.
        var decoder = TryMakeDecoder();
        while (_segments.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (_segments.Reader.TryRead(out var segment))
            {
                try
                {
                    decoder ??= new PocketSphinxDecoder();
                    Decode(decoder, segment);
                }
                catch (Exception e)
                {
                    // Whatever it was: this segment fails, and the thread goes on for the other callers with a new decoder.
                    decoder?.Dispose();
                    decoder = null;
                    segment.Hear(new Transcription.Failed(
                        segment.Number, e as ProviderException ?? new ProviderException(ProviderName, Missing() ?? e.Message, retryable: Missing() is null, e)));
                }
            }
        }

        decoder?.Dispose();
    }

    /// <summary>Null when it cannot be made: then the first segment fails with the reason.</summary>
    private static PocketSphinxDecoder? TryMakeDecoder()
    {
        try
        {
            return new PocketSphinxDecoder();
        }
        catch (Exception e) when (e is ProviderException or DllNotFoundException or EntryPointNotFoundException)
        {
            return null;
        }
    }

    private void Decode(PocketSphinxDecoder decoder, Segment segment)
    {
        decoder.Start();
        var told = "";
        var block = new short[Pcm.SampleRate / 10];
        int read;
        while ((read = segment.Read(block)) > 0)
        {
            decoder.Process(block.AsSpan(0, read));
            if (decoder.Hypothesis() is { Length: > 0 } soFar && soFar != told)
            {
                segment.Hear(new Transcription.Partial(segment.Number, told = soFar));
            }
        }

        var text = decoder.Finish();
        segment.Hear(new Transcription.Final(segment.Number, text, clock.GetElapsedTime(segment.EndedAt)));
    }

    private sealed class Recogniser(PocketSphinxSpeech pool, Action<Transcription> hear) : IRecogniser
    {
        private Segment? _segment;
        private int? _refused;
        private long _samples;

        public UsageTotal Usage => new("speech_to_text", ProviderName, ModelName, "second", (Interlocked.Read(ref _samples) + Pcm.SampleRate - 1) / Pcm.SampleRate);

        public void Begin(int segment)
        {
            _segment = new Segment(segment, hear);
            if (!pool._segments.Writer.TryWrite(_segment))
            {
                (_segment, _refused) = (null, segment);
            }
        }

        public void Push(ReadOnlySpan<short> samples)
        {
            _segment?.Write(samples);
            if (_segment is not null)
            {
                Interlocked.Add(ref _samples, samples.Length);
            }
        }

        public void End()
        {
            _segment?.Complete(pool.Now);
            if (_refused is { } refused)
            {
                // Not before: whoever listens knows of the speech only when it has begun.
                hear(new Transcription.Failed(refused, new ProviderException(ProviderName, "More callers speak than PocketSphinx can follow.", retryable: true)));
            }

            (_segment, _refused) = (null, null);
        }

        public ValueTask DisposeAsync()
        {
            End();
            return ValueTask.CompletedTask;
        }
    }

    private long Now => clock.GetTimestamp();

    /// <summary>The sound of one stretch of speech on its way to a decoder, at most a minute of it; more is not kept.</summary>
    private sealed class Segment(int number, Action<Transcription> hear)
    {
        private const int Capacity = Pcm.SampleRate * 60;

        private readonly object _lock = new();      // Guards the buffer and its ends; held for a copy only. Pulsed when there is more.
        private short[] _samples = new short[Pcm.SampleRate * 2];
        private int _written;
        private int _read;
        private bool _complete;

        public int Number => number;

        public Action<Transcription> Hear => hear;

        public long EndedAt { get; private set; }

        public void Write(ReadOnlySpan<short> samples)
        {
            lock (_lock)
            {
                samples = samples[..Math.Min(samples.Length, Capacity - _written)];
                if (_written + samples.Length > _samples.Length)
                {
                    Array.Resize(ref _samples, Math.Min(_samples.Length * 2, Capacity));
                }

                samples.CopyTo(_samples.AsSpan(_written));
                _written += samples.Length;
                Monitor.Pulse(_lock);
            }
        }

        public void Complete(long now)
        {
            lock (_lock)
            {
                _complete = true;
                EndedAt = now;
                Monitor.Pulse(_lock);
            }
        }

        /// <summary>Waits for sound. 0: the segment is over.</summary>
        public int Read(Span<short> block)
        {
            lock (_lock)
            {
                while (_written == _read && !_complete)
                {
                    Monitor.Wait(_lock);
                }

                var available = Math.Min(_written - _read, block.Length);
                _samples.AsSpan(_read, available).CopyTo(block);
                _read += available;
                return available;
            }
        }
    }
}
