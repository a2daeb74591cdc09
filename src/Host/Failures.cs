using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Diagnostics;
using Npgsql;

namespace VoicePlatform.Host;

/// <summary>What no handler answered: bodies that cannot be read, a database that is away, and bugs. Logged once, answered as a problem.</summary>
internal sealed partial class Failures(ILogger<Failures> log) : IExceptionHandler
{
    private static readonly Error DatabaseAway = new(ErrorKind.Unavailable, "database.unavailable", "The database does not answer.") { RetryAfter = TimeSpan.FromSeconds(5) };
    private static readonly Error Unstorable = new(ErrorKind.Invalid, "request.invalid", "A value is beyond what can be kept: U+0000 in a text, or a number or time out of range.");
    private static readonly Error Internal = new(ErrorKind.Unavailable, "internal_error", "Something went wrong here; the request id finds it in the logs.");

    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        var (status, error) = exception switch
        {
            BadHttpRequestException { InnerException: JsonException json } when Impossible(json) is { } impossible => (StatusCodes.Status422UnprocessableEntity, impossible),
            BadHttpRequestException bad => (bad.StatusCode, Unreadable(bad)),
            OperationCanceledException when httpContext.RequestAborted.IsCancellationRequested => (StatusCodes.Status499ClientClosedRequest, Internal),
            _ when IsUnstorable(exception) => (StatusCodes.Status422UnprocessableEntity, Unstorable),
            _ when IsDatabaseAway(exception) => (StatusCodes.Status503ServiceUnavailable, DatabaseAway),
            _ => (StatusCodes.Status500InternalServerError, Internal),
        };
        if (status == StatusCodes.Status500InternalServerError)
        {
            Unhandled(log, httpContext.TraceIdentifier, exception);
        }
        else if (status == StatusCodes.Status503ServiceUnavailable)
        {
            NoDatabase(log, httpContext.TraceIdentifier, exception.Message);
        }

        if (!httpContext.Response.HasStarted && status != StatusCodes.Status499ClientClosedRequest)
        {
            await httpContext.WriteProblemAsync(status, error);
        }

        return true;
    }

    /// <summary>Data exceptions: a number, a time or a text beyond what PostgreSQL holds, which no validator looked at.</summary>
    private static bool IsUnstorable(Exception e) => e switch
    {
        PostgresException p => p.SqlState is PostgresErrorCodes.CharacterNotInRepertoire or PostgresErrorCodes.UntranslatableCharacter
            or PostgresErrorCodes.NumericValueOutOfRange or PostgresErrorCodes.DatetimeFieldOverflow or PostgresErrorCodes.InvalidTextRepresentation,
        InvalidOperationException { Source: "System.Text.Json.Rethrowable" } => true,     // Half a character, spelled in JSON.
        { InnerException: { } inner } => IsUnstorable(inner),
        _ => false,
    };

    internal static bool IsDatabaseAway(Exception e) => e switch
    {
        PostgresException p => p.SqlState[..2] is "53" or "57" or "08" || p.SqlState is PostgresErrorCodes.ReadOnlySqlTransaction
            or PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected,      // Tried five times; the next one may come through.
        NpgsqlException => true,
        { InnerException: { } inner } => IsDatabaseAway(inner),
        _ => false,
    };

    /// <summary>A parameter is not of its type.</summary>
    public static Error Unreadable(string parameter) =>
        new(ErrorKind.Malformed, "request.malformed", $"'{parameter}' cannot be read.") { Fields = [new(parameter, "wrong_type", "Not of the right type.")] };

    private static Error Unreadable(BadHttpRequestException bad)
    {
        if (bad.InnerException is JsonException)
        {
            return new Error(ErrorKind.Malformed, "request.malformed", "The body is not JSON that can be read.");
        }

        if (Parameter().Match(bad.Message) is { Success: true } parameter)
        {
            return Unreadable(parameter.Groups["name"].Value);
        }

        return new Error(ErrorKind.Malformed, bad.StatusCode == StatusCodes.Status413PayloadTooLarge ? "request.too_large" : "request.malformed", bad.Message);
    }

    /// <summary>The body is JSON, and a field of it is none of the request's, or not of its type. Null when it is no JSON, or no object at all.</summary>
    private static Error? Impossible(JsonException json)
    {
        var field = (json.Path ?? "$").TrimStart('$', '.');
        if (json.InnerException is JsonException)
        {
            return null;
        }

        if (json.Message.Contains("could not be mapped", StringComparison.Ordinal))
        {
            var name = json.Message.Split('\'') is [_, var quoted, ..] ? quoted : field;
            return Error.Field(name, "unknown_field", $"'{name}' is not a field of this request.");
        }

        if (json.Message.Contains("missing required", StringComparison.Ordinal))
        {
            // The message names the type first and then what it lacks.
            var missing = json.Message.Split('\'')[^2];
            return Error.Field(field.Length == 0 ? missing : $"{field}.{missing}", "required", $"'{missing}' is needed.");
        }

        return field.Length == 0 ? null : Error.Field(field, "wrong_type", $"'{field}' is not of the right type.");
    }

    [GeneratedRegex("parameter \"(\\S+ )?(?<name>[a-z_]+)\"", RegexOptions.ExplicitCapture)]
    private static partial Regex Parameter();

    [LoggerMessage(LogLevel.Error, "Request {RequestId} failed")]
    private static partial void Unhandled(ILogger logger, string requestId, Exception exception);

    [LoggerMessage(LogLevel.Warning, "Request {RequestId} found no database: {Reason}")]
    private static partial void NoDatabase(ILogger logger, string requestId, string reason);
}
