using System.Diagnostics.CodeAnalysis;

namespace VoicePlatform.SharedKernel;

public enum ErrorKind
{
    /// <summary>The request can be read but says something impossible (422 on /v1, 400 on the seed routes).</summary>
    Invalid,

    /// <summary>The request cannot be read at all (400).</summary>
    Malformed,

    /// <summary>Nobody is known behind the credentials (401).</summary>
    Unauthenticated,

    /// <summary>The tenant's credits do not cover it (402).</summary>
    PaymentRequired,

    /// <summary>The key lacks the scope (403).</summary>
    Forbidden,

    /// <summary>No such thing, or another tenant's (404).</summary>
    NotFound,

    /// <summary>It contradicts the present state (409).</summary>
    Conflict,

    /// <summary>If-Match names an older version (412).</summary>
    PreconditionFailed,

    /// <summary>Too many requests (429).</summary>
    RateLimited,

    /// <summary>Somebody beyond us was asked and refused: a carrier, say (502).</summary>
    Refused,

    /// <summary>A dependency or the capacity is missing for the moment (503, with Retry-After).</summary>
    Unavailable,
}

/// <summary>One field that was refused. <paramref name="Field"/> is the JSON path in snake_case ("greeting.text").</summary>
public sealed record FieldError(string Field, string Code, string Message);

/// <summary>An expected failure. <paramref name="Code"/> is public API ("session.already_ended") and never renamed; the message is for people.</summary>
public sealed record Error(ErrorKind Kind, string Code, string Message)
{
    /// <summary>The refused fields; empty when the failure is not about a field.</summary>
    public IReadOnlyList<FieldError> Fields { get; init; } = [];

    /// <summary>When trying again makes sense; sent as Retry-After.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>One refused field, as a whole error.</summary>
    public static Error Field(string field, string code, string message) =>
        new(ErrorKind.Invalid, "request.invalid", message) { Fields = [new FieldError(field, code, message)] };
}

/// <summary>Lets a pipeline behaviour build a failed response without reflection.</summary>
public interface IFailable<out TSelf> where TSelf : IFailable<TSelf>
{
    static abstract TSelf Failed(Error error);

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    static abstract TSelf FromJson(string json);

    Error? Error { get; }

    /// <summary>The value, for an answer that may have to be given again.</summary>
    /// <exception cref="InvalidOperationException">There is an error instead.</exception>
    string ToJson();
}

/// <summary>A value, or the reason there is none.</summary>
public readonly record struct Result<T> : IFailable<Result<T>>
{
    private readonly T? _value;

    private Result(T? value, Error? error) => (_value, Error) = (value, error);

    public Error? Error { get; }

    [MemberNotNullWhen(false, nameof(Error))]
    public bool IsOk => Error is null;

    /// <exception cref="InvalidOperationException">There is an error instead.</exception>
    public T Value => IsOk ? _value! : throw new InvalidOperationException(Error.Code);

    public static Result<T> Failed(Error error) => new(default, error);

    public static Result<T> FromJson(string json) => new(Json.ReadKept<T>(json), null);

    public string ToJson() => Json.Write(Value);

    /// <summary>For values of an interface type, which the conversion below cannot take.</summary>
    public static Result<T> Ok(T value) => new(value, null);

    public static implicit operator Result<T>(T value) => new(value, null);

    public static implicit operator Result<T>(Error error) => Failed(error);
}

/// <summary>The value of a command that answers nothing but success.</summary>
public readonly record struct Done;
