using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.Net.Http.Headers;

namespace VoicePlatform.Host;

/// <summary>
/// Refuses requests whose texts nothing behind this point could keep: bytes that are no UTF-8, the character U+0000 (PostgreSQL stores none) and
/// halves of surrogate pairs. Otherwise each slice would meet them where it first looks at the text.
/// </summary>
internal static class ReadableRequests
{
    private const string Says = "holds a character that cannot be kept: U+0000, half of a surrogate pair, or bytes that are not UTF-8.";

    public static void UseReadableRequests(this IApplicationBuilder app) => app.Use(async (context, next) =>
    {
        if (context.GetEndpoint() is null)
        {
            await next(context);
            return;
        }

        if (context.Request.Query.FirstOrDefault(p => p.Key.Contains('\0') || p.Value.ToString().Contains('\0')) is { Key: not null } parameter)
        {
            await context.WriteProblemAsync(StatusCodes.Status400BadRequest, Named(parameter.Key.Replace("\0", "", StringComparison.Ordinal)));
            return;
        }

        if (!context.Request.HasJsonContentType() || context.Request.ContentLength == 0)
        {
            await next(context);
            return;
        }

        // JSON is UTF-8 (RFC 8259); who says otherwise means something else.
        if (MediaTypeHeaderValue.Parse(context.Request.ContentType).Charset is { HasValue: true } charset && !charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase))
        {
            await context.WriteProblemAsync(StatusCodes.Status415UnsupportedMediaType, new Error(ErrorKind.Malformed, "request.media_type", "Send the body as application/json in UTF-8."));
            return;
        }

        var body = new MemoryStream();
        context.Response.RegisterForDispose(body);
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        body.Position = 0;
        context.Request.Body = body;
        if (Refusal(body.GetBuffer().AsSpan(0, (int)body.Length)) is { } refusal)
        {
            await context.WriteProblemAsync(StatusCodes.Status400BadRequest, refusal);
            return;
        }

        await next(context);
    });

    internal static Error? Refusal(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json))
        {
            return new Error(ErrorKind.Malformed, "request.malformed", $"The body {Says}");
        }

        return HasBadEscape(json) ? Named(FieldOf(json)) : null;
    }

    private static Error Named(string field) => new(ErrorKind.Malformed, "request.malformed", field.Length == 0 ? $"The body {Says}" : $"'{field}' {Says}")
    {
        Fields = field.Length == 0 ? [] : [new(field, "bad_text", $"It {Says}")],
    };

    private static bool HasBadEscape(ReadOnlySpan<byte> json)
    {
        while (json.IndexOf((byte)'\\') is var at and >= 0 && at + 1 < json.Length)
        {
            if (json[at + 1] != 'u' || !TryHex(json[(at + 2)..], out var unit))
            {
                json = json[(at + 2)..];
                continue;
            }

            json = json[(at + 6)..];
            if (unit == 0 || char.IsLowSurrogate(unit))
            {
                return true;
            }

            if (char.IsHighSurrogate(unit))
            {
                if (!json.StartsWith("\\u"u8) || !TryHex(json[2..], out var low) || !char.IsLowSurrogate(low))
                {
                    return true;
                }

                json = json[6..];
            }
        }

        return false;
    }

    private static bool TryHex(ReadOnlySpan<byte> digits, out char unit)
    {
        var isHex = ushort.TryParse(digits[..Math.Min(4, digits.Length)], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) && digits.Length >= 4;
        unit = (char)value;
        return isHex;
    }

    /// <summary>Only for the message: the first field whose text is bad, by its path; empty where the JSON cannot be walked.</summary>
    private static string FieldOf(ReadOnlySpan<byte> json)
    {
        var path = new List<string>();
        try
        {
            var reader = new Utf8JsonReader(json, new() { MaxDepth = Json.Options.MaxDepth });
            while (reader.Read())
            {
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject or JsonTokenType.StartArray:
                        path.Add("");
                        break;
                    case JsonTokenType.EndObject or JsonTokenType.EndArray:
                        path.RemoveAt(path.Count - 1);
                        break;
                    case JsonTokenType.PropertyName when HasBadEscape(reader.ValueSpan):
                        return string.Join('.', path.SkipLast(1).Where(p => p.Length > 0));
                    case JsonTokenType.PropertyName:
                        path[^1] = reader.GetString()!;
                        break;
                    case JsonTokenType.String when HasBadEscape(reader.ValueSpan):
                        return string.Join('.', path.Where(p => p.Length > 0));
                }
            }
        }
        catch (JsonException)
        {
            // Not JSON at all; its reader says so better.
        }

        return "";
    }
}
