using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>
/// LiveKit's official client library in this process: joins rooms and makes audio sources. One at a time per process; it loads the
/// library when made and has it close every room when disposed of.
/// </summary>
public sealed class RtcEngine : IAsyncDisposable
{
    private readonly FfiClient _client;
    private readonly ILoggerFactory _loggers;
    private readonly TimeProvider _clock;

    /// <exception cref="RtcException">The library is missing, damaged or already in use; one sentence that says what to do.</exception>
    public RtcEngine(RtcLibrary library, ILoggerFactory loggers, TimeProvider clock)
    {
        (_loggers, _clock) = (loggers, clock);
        _client = FfiClient.Start(NativeLibraryFile.Prepare(library.LibraryPath, library.CacheDirectory), loggers, clock);
    }

    internal FfiClient Client => _client;

    /// <summary>Joins a room.</summary>
    /// <param name="url">ws, wss, http or https.</param>
    /// <param name="token">An access token that allows joining.</param>
    /// <exception cref="RtcException">The server refused or could not be reached.</exception>
    public async Task<RtcRoom> ConnectAsync(string url, string token, RoomOptions options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var asyncId = _client.NextAsyncId();
        var request = new ConnectRequest
        {
            Url = url,
            Token = token,
            RequestAsyncId = asyncId,
            Options = new Ffi.RoomOptions
            {
                AutoSubscribe = options.AutoSubscribe,
                Dynacast = false,
                AdaptiveStream = false,
                JoinRetries = (uint)options.JoinRetries,
                ConnectTimeoutMs = (ulong)options.ConnectTimeout.TotalMilliseconds,
            },
        };
        var call = _client.CallAsync(new FfiRequest { Connect = request }, asyncId);
        ConnectCallback connected;
        try
        {
            connected = (await call.WaitAsync(cancellationToken)).Connect;
        }
        catch (OperationCanceledException)
        {
            // The library goes on connecting; when it is done, the room is given back, which leaves it.
            _ = call.ContinueWith(
                static done => FfiEvents.DropHandles(done.GetAwaiter().GetResult()),
                CancellationToken.None,
                TaskContinuationOptions.OnlyOnRanToCompletion,
                TaskScheduler.Default);
            throw;
        }

        if (connected.MessageCase != ConnectCallback.MessageOneofCase.Result)
        {
            throw new RtcException($"The room could not be joined: {connected.Error}");
        }

        return new RtcRoom(_client, connected.Result, options, _loggers.CreateLogger<RtcRoom>(), _clock);
    }

    /// <summary>Makes a source of audio to publish.</summary>
    public AudioSource CreateAudioSource(AudioSourceFormat format) => new(_client, format, _clock);

    /// <summary>Makes an audio processor (echo, noise, gain).</summary>
    public AudioProcessing CreateAudioProcessing(AudioProcessingOptions options) => new(_client, options);

    /// <summary>Makes a converter of sample rates.</summary>
    public AudioResampler CreateResampler(int fromRate, int toRate, int channels) => new(_client, fromRate, toRate, channels);

    /// <summary>Closes every room and stops the library; may take as long as its rooms need to leave.</summary>
    public async ValueTask DisposeAsync() => await Task.Run(_client.Dispose);
}
