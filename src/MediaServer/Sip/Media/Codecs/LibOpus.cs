using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Sip.Media.Codecs;

/// <summary>The calls of libopus in use. Names are the library's own.</summary>
internal static unsafe partial class LibOpus
{
    private const string Library = "libopus.so.0";

    public const int Voip = 2048;
    public const int SetBitrate = 4002;
    public const int SetComplexity = 4010;
    public const int SetSignal = 4024;
    public const int SignalVoice = 3001;

    /// <exception cref="PhoneMediaException">The library is not there.</exception>
    public static void Require()
    {
        if (!NativeLibrary.TryLoad(Library, out _))
        {
            throw new PhoneMediaException($"The system library {Library} is missing: install the package libopus0.");
        }
    }

    [LibraryImport(Library)]
    public static partial nint opus_encoder_create(int rate, int channels, int application, int* error);

    [LibraryImport(Library)]
    public static partial void opus_encoder_destroy(nint encoder);

    /// <summary>Variadic in C; with one int both calling conventions that we run on (x64, arm64 of Linux) pass it the same.</summary>
    [LibraryImport(Library)]
    public static partial int opus_encoder_ctl(nint encoder, int request, int value);

    [LibraryImport(Library)]
    public static partial int opus_encode(nint encoder, short* pcm, int samples, byte* data, int maxBytes);

    [LibraryImport(Library)]
    public static partial nint opus_decoder_create(int rate, int channels, int* error);

    [LibraryImport(Library)]
    public static partial void opus_decoder_destroy(nint decoder);

    [LibraryImport(Library)]
    public static partial int opus_decode(nint decoder, byte* data, int length, short* pcm, int samples, int forwardErrorCorrection);
}
