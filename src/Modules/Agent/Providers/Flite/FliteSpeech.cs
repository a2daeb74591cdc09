using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using VoicePlatform.Agent.Audio;
using VoicePlatform.Agent.Speech;

namespace VoicePlatform.Agent.Providers.Flite;

/// <summary>Speaks with flite, offline. The library keeps state of its own, so one thread does all speaking: 40 ms for a sentence.</summary>
internal sealed partial class FliteSpeech : IDisposable
{
    public const string ProviderName = "local";

    public static readonly IReadOnlyList<string> Voices = ["slt", "rms", "awb", "kal16"];

    private const string Library = "libflite.so.1";
    private const int QueuedSentences = 256;

    // flite begins a sentence with 230 ms of silence, which a caller who waits for an answer would hear as slowness.
    private static readonly TimeSpan Lead = TimeSpan.FromMilliseconds(20);

    // The pause between two sentences.
    private static readonly TimeSpan Tail = TimeSpan.FromMilliseconds(150);

    // flite keeps the pointer to a feature's name and reads it at the next use: it must never be freed.
    private static readonly nint DurationStretch = Marshal.StringToCoTaskMemUTF8("duration_stretch");

    private readonly Channel<Request> _requests = Channel.CreateBounded<Request>(QueuedSentences);
    private readonly Dictionary<string, nint> _voices = [];
    private readonly Lock _starting = new();
    private Thread? _thread;

    /// <param name="voice">slt, rms, awb or kal16.</param>
    /// <param name="speed">0.5 to 2 times the voice's own pace.</param>
    public ITextToSpeech Voice(string voice, double speed) => new Speaker(this, voice, speed);

    /// <summary>Whether the library is there; the sentence says what to do when it is not.</summary>
    public static string? Missing() =>
        NativeLibrary.TryLoad(Library, out _) ? null : "flite is not installed: apt-get install libflite1.";

    public void Dispose()
    {
        _requests.Writer.TryComplete();
        _thread?.Join();
    }

    private void Start()
    {
        lock (_starting)
        {
            if (_thread is null)
            {
                _thread = new Thread(Run) { IsBackground = true, Name = "flite" };
                _thread.Start();
            }
        }
    }

    private void Run()
    {
        _ = flite_init();
        while (_requests.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (_requests.Reader.TryRead(out var request))
            {
                if (request.Cancelled.IsCancellationRequested)
                {
                    request.Done.TrySetCanceled(request.Cancelled);
                    continue;
                }

                try
                {
                    request.Done.TrySetResult(Synthesise(request));
                }
                catch (Exception e)
                {
                    // Whatever it was: this sentence fails, and the thread goes on for the other conversations.
                    request.Done.TrySetException(e as ProviderException ?? new ProviderException(ProviderName, Missing() ?? e.Message, retryable: false, e));
                }
            }
        }
    }

    private unsafe short[] Synthesise(Request request)
    {
        if (!_voices.TryGetValue(request.Voice, out var voice))
        {
            var library = NativeLibrary.Load($"libflite_cmu_us_{request.Voice}.so.1");
            var register = (delegate* unmanaged<byte*, nint>)NativeLibrary.GetExport(library, $"register_cmu_us_{request.Voice}");
            _voices[request.Voice] = voice = register(null);
        }

        // cst_voice starts with its name and then its features.
        feat_set_float(((nint*)voice)[1], DurationStretch, (float)(1 / request.Speed));
        var wave = (Wave*)flite_text_to_wave(Speakable(request.Text), voice);
        if (wave is null)
        {
            throw new ProviderException(ProviderName, "flite could not speak this text.", retryable: false);
        }

        try
        {
            if (wave->SampleRate != Pcm.SampleRate)
            {
                throw new ProviderException(ProviderName, $"The voice {request.Voice} speaks at {wave->SampleRate} Hz, not at {Pcm.SampleRate}.", retryable: false);
            }

            return Silence.Trim(new ReadOnlySpan<short>(wave->Samples, wave->SampleCount), Lead, Tail).ToArray();
        }
        finally
        {
            delete_wave((nint)wave);
        }
    }

    /// <summary>flite knows ASCII: typographic marks become plain ones, and what has no plain form is left out.</summary>
    internal static string Speakable(string text) => string.Create(text.Length, text, static (plain, original) =>
    {
        for (var i = 0; i < original.Length; i++)
        {
            plain[i] = original[i] switch
            {
                '\u2018' or '\u2019' => '\'',
                '\u201c' or '\u201d' or '\u00ab' or '\u00bb' => '"',
                '\u2013' or '\u2014' => ',',
                '\u2026' => '.',
                < ' ' or > '~' => ' ',
                var c => c,
            };
        }
    });

    [LibraryImport(Library)]
    private static partial int flite_init();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint flite_text_to_wave(string text, nint voice);

    [LibraryImport(Library)]
    private static partial void delete_wave(nint wave);

    [LibraryImport(Library)]
    private static partial void feat_set_float(nint features, nint name, float value);

    private sealed record Request(string Text, string Voice, double Speed, CancellationToken Cancelled)
    {
        public TaskCompletionSource<short[]> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct Wave
    {
        public nint Type;
        public int SampleRate;
        public int SampleCount;
        public int Channels;
        public short* Samples;
    }

    private sealed class Speaker(FliteSpeech flite, string voice, double speed) : ITextToSpeech
    {
        public string Provider => ProviderName;

        public string Model => $"flite:{voice}";

        public async IAsyncEnumerable<ReadOnlyMemory<short>> SpeakAsync(string text, [EnumeratorCancellation] CancellationToken ct)
        {
            flite.Start();
            var request = new Request(text, voice, speed, ct);
            await flite._requests.Writer.WriteAsync(request, ct);
            yield return await request.Done.Task.WaitAsync(ct);
        }

        public override string ToString() => $"flite {voice}";
    }
}
