// SPDX-License-Identifier: Apache-2.0

// Pure: what an init process will do, as values.
//
//   InitStep, ParentStep   one thing that the child, the parent does
//   LaunchPlan             both columns, each step with its config field
//   Explanation, Summaries the plan as text (`swrunc explain`)
//   Lowering*              each step becomes instructions of the machine
//   Assembler, Program     the program under construction, and finished
//   ProgramChecker         the rules that the machine relies on

@_exported public import ByteText
