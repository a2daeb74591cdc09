using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using VoicePlatform.Agent.Speech;

namespace VoicePlatform.Agent.Providers.PocketSphinx;

/// <summary>One decoder with the English model. For one thread.</summary>
internal sealed unsafe partial class PocketSphinxDecoder : IDisposable
{
    public const string Library = "libpocketsphinx.so.3";
    public const string ModelFolder = "/usr/share/pocketsphinx/model/en-us";

    private const string Base = "libsphinxbase.so.3";

    // Loading a model goes through static buffers of the library: one at a time in the process.
    private static readonly Lock s_loading = new();

    private readonly nint _config;
    private readonly nint _decoder;

    // Silent once and for all. The option for a log file would have every decoder close the file that the others are writing to.
    static PocketSphinxDecoder() => err_set_logfp(0);

    /// <exception cref="ProviderException">The model is missing or damaged.</exception>
    public PocketSphinxDecoder()
    {
        string[] arguments =
        [
            "pocketsphinx", "-hmm", $"{ModelFolder}/en-us", "-lm", $"{ModelFolder}/en-us.lm.bin", "-dict", $"{ModelFolder}/cmudict-en-us.dict",
            "-samprate", "16000", "-remove_silence", "no",
        ];
        var argv = (nint*)NativeMemory.Alloc((nuint)arguments.Length, (nuint)sizeof(nint));
        for (var i = 0; i < arguments.Length; i++)
        {
            argv[i] = Marshal.StringToCoTaskMemUTF8(arguments[i]);
        }

        lock (s_loading)
        {
            _config = cmd_ln_parse_r(0, ps_args(), arguments.Length, argv, 0);
            _decoder = _config == 0 ? 0 : ps_init(_config);
        }

        for (var i = 0; i < arguments.Length; i++)
        {
            Marshal.FreeCoTaskMem(argv[i]);
        }

        NativeMemory.Free(argv);
        if (_decoder == 0)
        {
            throw new ProviderException(PocketSphinxSpeech.ProviderName, "PocketSphinx could not load its English model.", retryable: false);
        }
    }

    public void Start() => Check(ps_start_utt(_decoder));

    public void Process(ReadOnlySpan<short> samples)
    {
        fixed (short* data = samples)
        {
            Check(Math.Min(0, ps_process_raw(_decoder, data, (nuint)samples.Length, 0, 0)));
        }
    }

    public string Hypothesis() => Clean(Marshal.PtrToStringUTF8(ps_get_hyp(_decoder, out _)));

    public string Finish()
    {
        Check(ps_end_utt(_decoder));
        return Hypothesis();
    }

    public void Dispose()
    {
        lock (s_loading)
        {
            _ = ps_free(_decoder);
            _ = cmd_ln_free_r(_config);
        }
    }

    /// <summary>Words only: "read(2)" is a second pronunciation, "[NOISE]" and "&lt;sil&gt;" are no words.</summary>
    internal static string Clean(string? hypothesis) =>
        hypothesis is null ? "" : string.Join(' ', Marks().Replace(hypothesis, "").Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private static void Check(int result)
    {
        if (result < 0)
        {
            throw new ProviderException(PocketSphinxSpeech.ProviderName, "PocketSphinx could not decode.", retryable: true);
        }
    }

    [GeneratedRegex(@"\(\d+\)|\[[A-Z_]+\]|<[a-z/]+>|\+\+[A-Z]+\+\+", RegexOptions.NonBacktracking)]
    private static partial Regex Marks();

    [LibraryImport(Base)]
    private static partial void err_set_logfp(nint stream);

    [LibraryImport(Base)]
    private static partial nint cmd_ln_parse_r(nint inout, nint definitions, int argc, nint* argv, int strict);

    [LibraryImport(Base)]
    private static partial int cmd_ln_free_r(nint config);

    [LibraryImport(Library)]
    private static partial nint ps_args();

    [LibraryImport(Library)]
    private static partial nint ps_init(nint config);

    [LibraryImport(Library)]
    private static partial int ps_free(nint decoder);

    [LibraryImport(Library)]
    private static partial int ps_start_utt(nint decoder);

    [LibraryImport(Library)]
    private static partial int ps_process_raw(nint decoder, short* data, nuint samples, int noSearch, int fullUtterance);

    [LibraryImport(Library)]
    private static partial int ps_end_utt(nint decoder);

    [LibraryImport(Library)]
    private static partial nint ps_get_hyp(nint decoder, out int score);
}
