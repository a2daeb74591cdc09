using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Rtc.Ffi;
using LogLevel = Microsoft.Extensions.Logging.LogLevel;

namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>Receives what the library has to say about one object. Called on the library's threads: hand on, do not wait.</summary>
internal interface IFfiEventSink
{
    void Post(FfiEvent ffiEvent);
}

/// <summary>
/// Requests to the library, and its events sorted to those they concern. There is one per process, as there is one library.
/// </summary>
internal sealed unsafe partial class FfiClient : IDisposable
{
    private static readonly Lock Gate = new();

    private static FfiClient? s_current;

    private readonly ConcurrentDictionary<ulong, TaskCompletionSource<FfiEvent>> _pending = new();
    private readonly ConcurrentDictionary<ulong, IFfiEventSink> _sinks = new();
    private readonly ConcurrentDictionary<ulong, AudioSource> _captures = new();
    private readonly ConcurrentDictionary<ulong, RemoteAudioStream> _streams = new();
    private readonly NativeLog _log;
    private readonly ILogger _logger;
    private ulong _lastAsyncId;
    private volatile bool _disposed;

    private FfiClient(ILoggerFactory loggers, TimeProvider clock)
    {
        _logger = loggers.CreateLogger<FfiClient>();
        _log = new NativeLog(loggers.CreateLogger("VoicePlatform.LiveKit.Rtc.Library"), clock);
    }

    /// <exception cref="RtcException">The file does not load, or the library already serves another engine of this process.</exception>
    public static FfiClient Start(string libraryFile, ILoggerFactory loggers, TimeProvider clock)
    {
        NativeMethods.Load(libraryFile);
        lock (Gate)
        {
            if (s_current is not null)
            {
                throw new RtcException("LiveKit's client library already runs in this process; there can be one engine at a time.");
            }

            s_current = new FfiClient(loggers, clock);
            NativeMethods.Initialize(&OnEvent, captureLogs: true, "dotnet", "1.0.0");
            return s_current;
        }
    }

    /// <summary>An id for a request whose result comes as an event.</summary>
    public ulong NextAsyncId() => Interlocked.Increment(ref _lastAsyncId);

    /// <exception cref="RtcException">The library did not understand the request.</exception>
    public FfiResponse Send(FfiRequest request)
    {
        var length = request.CalculateSize();
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            request.WriteTo(buffer.AsSpan(0, length));
            return Send(buffer.AsSpan(0, length), static response => FfiResponse.Parser.ParseFrom(response), request.MessageCase.ToString());
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Sends an encoded request and reads the response in place.</summary>
    /// <exception cref="RtcException">The library did not understand the request.</exception>
    public T Send<T>(ReadOnlySpan<byte> request, ResponseReader<T> read, string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(RtcEngine));
        byte* response;
        nuint length;
        ulong handle;
        fixed (byte* data = request)
        {
            handle = NativeMethods.Request(data, (nuint)request.Length, &response, &length);
        }

        if (handle == 0)
        {
            throw new RtcException($"LiveKit's client library refused the request {name}.");
        }

        try
        {
            return read(new ReadOnlySpan<byte>(response, (int)length));
        }
        finally
        {
            NativeMethods.DropHandle(handle);
        }
    }

    /// <summary>Sends a request that carries <paramref name="asyncId"/>; the task ends with the event that answers it.</summary>
    public Task<FfiEvent> CallAsync(FfiRequest request, ulong asyncId)
    {
        var completion = new TaskCompletionSource<FfiEvent>(TaskCreationOptions.RunContinuationsAsynchronously);
        _pending[asyncId] = completion;
        try
        {
            Send(request);
        }
        catch
        {
            _pending.TryRemove(asyncId, out _);
            throw;
        }

        return completion.Task;
    }

    /// <summary>Events of a room, participant or stream reader go to this sink from now on.</summary>
    public void Listen(ulong handle, IFfiEventSink sink) => _sinks[handle] = sink;

    public void Unlisten(ulong handle) => _sinks.TryRemove(handle, out _);

    public void Listen(ulong handle, RemoteAudioStream stream) => _streams[handle] = stream;

    public void UnlistenStream(ulong handle) => _streams.TryRemove(handle, out _);

    /// <summary>The source that captures under this id.</summary>
    public void Listen(ulong asyncId, AudioSource source) => _captures[asyncId] = source;

    public void UnlistenCapture(ulong asyncId) => _captures.TryRemove(asyncId, out _);

    public void Dispose()
    {
        lock (Gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            // Waits until the library has closed its rooms and ended its threads' work.
            NativeMethods.Dispose();
            s_current = null;
        }

        foreach (var (_, completion) in _pending)
        {
            completion.TrySetException(new ObjectDisposedException(nameof(RtcEngine)));
        }

        foreach (var (_, source) in _captures)
        {
            source.OnCaptured("the engine has been closed");
        }

        foreach (var (_, stream) in _streams)
        {
            stream.OnEnd();
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    [SuppressMessage("Design", "CA1031", Justification = "An exception that leaves here ends the process.")]
    private static void OnEvent(byte* data, nuint length)
    {
        var client = s_current;
        if (client is null)
        {
            return;
        }

        try
        {
            client.Route(new ReadOnlySpan<byte>(data, (int)length));
        }
        catch (Exception e)
        {
            client.LogRoutingFault(e);
        }
    }

    private void Route(ReadOnlySpan<byte> message)
    {
        if (AudioMessages.TryReadStreamEvent(message, out var stream, out var frame))
        {
            RouteFrame(stream, frame);
            return;
        }

        if (AudioMessages.TryReadCaptureCallback(message, out var asyncId, out var error))
        {
            if (_captures.TryGetValue(asyncId, out var source))
            {
                source.OnCaptured(error.IsEmpty ? null : Encoding.UTF8.GetString(error));
            }

            return;
        }

        RouteParsed(FfiEvent.Parser.ParseFrom(message));
    }

    private void RouteFrame(ulong stream, NativeFrame? frame)
    {
        _streams.TryGetValue(stream, out var listener);
        if (frame is not { } received)
        {
            listener?.OnEnd();
            return;
        }

        listener?.OnFrame(received);
        if (received.BufferHandle != 0)
        {
            NativeMethods.DropHandle(received.BufferHandle);
        }
    }

    private void RouteParsed(FfiEvent message)
    {
        switch (message.MessageCase)
        {
            case FfiEvent.MessageOneofCase.Logs:
                _log.Write(message.Logs);
                break;
            case FfiEvent.MessageOneofCase.Panic:
                LogPanic(message.Panic.Message);
                break;
            default:
                if (FfiEvents.Listener(message) is { } handle)
                {
                    if (_sinks.TryGetValue(handle, out var sink))
                    {
                        sink.Post(message);
                    }
                    else
                    {
                        FfiEvents.DropHandles(message);
                    }
                }
                else if (FfiEvents.AsyncId(message) is { } asyncId && _pending.TryRemove(asyncId, out var completion))
                {
                    completion.TrySetResult(message);
                }
                else
                {
                    FfiEvents.DropHandles(message);
                }

                break;
        }
    }

    [LoggerMessage(LogLevel.Error, "An event of LiveKit's client library could not be handled.")]
    private partial void LogRoutingFault(Exception e);

    [LoggerMessage(LogLevel.Critical, "LiveKit's client library panicked: {Message}")]
    private partial void LogPanic(string message);

    internal delegate T ResponseReader<out T>(ReadOnlySpan<byte> response);
}
