using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Signal;

namespace VoicePlatform.MediaServer.ServerApi;

/// <summary>Twirp over HTTP: <c>POST /twirp/{service}/{method}</c> with protobuf or JSON bodies.</summary>
internal sealed partial class TwirpEndpoint(IEnumerable<TwirpService> services, Callers callers, ILogger log)
{
    private const string Json = "application/json";
    private const string Protobuf = "application/protobuf";

    // As LiveKit answers: names as in the .proto files, nothing left out.
    private static readonly JsonFormatter Formatter = new(
        JsonFormatter.Settings.Default.WithFormatDefaultValues(true).WithPreserveProtoFieldNames(true));

    private static readonly JsonParser Parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    private readonly Dictionary<string, TwirpService> _services = services.ToDictionary(service => service.Name, StringComparer.Ordinal);

    public async Task HandleAsync(HttpContext context)
    {
        try
        {
            await AnswerAsync(context);
        }
        catch (TwirpException e)
        {
            await RefuseAsync(context, e);
        }
        catch (RoomClosedException)
        {
            await RefuseAsync(context, TwirpException.NoRoom());
        }
        catch (BadHttpRequestException e)
        {
            await RefuseAsync(context, new TwirpException(TwirpCode.Malformed, e.Message));
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            LogFault(log, e, context.Request.Path);
            await RefuseAsync(context, new TwirpException(TwirpCode.Internal, "internal error"));
        }
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value ?? "";
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (!HttpMethods.IsPost(context.Request.Method)
            || parts.Length != 3
            || !_services.TryGetValue(parts[1], out var service)
            || service.Find(parts[2]) is not { } method)
        {
            throw new TwirpException(TwirpCode.BadRoute, $"no handler for path \"{path}\"")
            {
                Meta = new Dictionary<string, string>(StringComparer.Ordinal) { ["twirp_invalid_route"] = $"{context.Request.Method} {path}" },
            };
        }

        var type = context.Request.ContentType?.Split(';')[0].Trim();
        if (type is not (Json or Protobuf))
        {
            throw new TwirpException(TwirpCode.BadRoute, $"unexpected Content-Type: \"{context.Request.ContentType}\"")
            {
                Meta = new Dictionary<string, string>(StringComparer.Ordinal) { ["twirp_invalid_route"] = $"POST {path}" },
            };
        }

        // Before the body is read: who has no token costs no memory.
        if (Callers.TokenOf(context.Request) is not { } token)
        {
            throw TwirpException.Denied();
        }

        if (!callers.TryVerify(token, out var caller, out var refusal))
        {
            throw new TwirpException(TwirpCode.Unauthenticated, refusal);
        }

        var request = await ReadAsync(context.Request, method, type);
        var response = await method.CallAsync(request, caller, context.RequestAborted);
        context.Response.ContentType = type;
        var body = type is Json ? Encoding.UTF8.GetBytes(Formatter.Format(response)) : response.ToByteArray();
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private static async Task<IMessage> ReadAsync(HttpRequest http, ITwirpMethod method, string type)
    {
        using var body = new MemoryStream();
        await http.Body.CopyToAsync(body, http.HttpContext.RequestAborted);
        var request = method.NewRequest();
        try
        {
            if (type is Protobuf)
            {
                request.MergeFrom(body.GetBuffer().AsSpan(0, (int)body.Length).ToArray());
                return request;
            }

            return Parser.Parse(Encoding.UTF8.GetString(body.GetBuffer(), 0, (int)body.Length), request.Descriptor);
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException or InvalidOperationException or FormatException
            or OverflowException or ArgumentException)
        {
            throw new TwirpException(TwirpCode.Malformed, $"the {(type is Json ? "json" : "protobuf")} request could not be decoded");
        }
    }

    private static async Task RefuseAsync(HttpContext context, TwirpException refusal)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        var (name, status) = refusal.Code.Wire();
        context.Response.StatusCode = status;
        context.Response.ContentType = Json;
        using var body = new MemoryStream();
        await using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            json.WriteString("code", name);
            json.WriteString("msg", refusal.Message);
            if (refusal.Meta is { Count: > 0 } meta)
            {
                json.WriteStartObject("meta");
                foreach (var (key, value) in meta)
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        await context.Response.Body.WriteAsync(body.ToArray(), context.RequestAborted);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The server API call {Path} failed")]
    private static partial void LogFault(ILogger log, Exception exception, string path);
}
